"""`POST /v1/predictions`: an image in, a diagnosis out."""

import base64
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query
from starlette.requests import Request

from lentigo_contract.labels import DIAGNOSES, RESEARCH_NOTICE, Diagnosis
from lentigo_inference.connected import while_connected
from lentigo_inference.identifiers import uuid7
from lentigo_inference.multipart import FIELD
from lentigo_inference.openapi import problem_responses
from lentigo_inference.predictor import Answer, DrawnMap, Explain
from lentigo_inference.routes.models import model_reference
from lentigo_inference.schemas import (
    ActivationMap,
    ClassProbability,
    DiagnosisScore,
    ImageSummary,
    Malignancy,
    PredictionAnswer,
)
from lentigo_inference.services import ServicesOfRequest
from lentigo_inference.uploads import read_upload

router = APIRouter(tags=["predictions"])

_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}
_REQUEST_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "description": "The image, as a form or as the raw body. Its type is told by its content.",
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [FIELD],
                    "additionalProperties": False,
                    "properties": {FIELD: {"type": "string", "format": "binary"}},
                }
            },
            "image/*": _BINARY,
            "application/octet-stream": _BINARY,
        },
    }
}


@router.post(
    "/v1/predictions",
    response_model_exclude_none=True,
    responses=problem_responses(400, 408, 413, 415, 422, 500, 503),
    openapi_extra=_REQUEST_BODY,
)
async def predict(
    request: Request,
    services: ServicesOfRequest,
    *,
    explain: Annotated[
        bool | Literal["all"],
        Query(
            description="`true` adds the activation map of the most probable diagnosis, `all` also "
            "those of all seven."
        ),
    ] = False,
) -> PredictionAnswer:
    """Name the most likely diagnosis of a dermatoscopic image."""
    settings = services.settings
    # Refused before the upload is read, rather than after.
    services.slot.require()
    with services.admission.enter():
        data = await read_upload(request, settings.max_upload_bytes, settings.upload_timeout_s)
        answer = await while_connected(
            request,
            services.predictor.predict(data, explain=_wanted(explain), record=request.state.record),
        )
    return prediction_answer(answer)


def _wanted(explain: bool | Literal["all"]) -> Explain:
    if explain == "all":
        return "all"
    return "top" if explain else "none"


def prediction_answer(answer: Answer) -> PredictionAnswer:
    """Give the wire form of an answer."""
    # A stable sort, so equal probabilities stay in the order of the labels.
    ranked = sorted(
        zip(DIAGNOSES, map(float, answer.probabilities), strict=True),
        key=lambda pair: pair[1],
        reverse=True,
    )
    top, highest = ranked[0]
    upload = answer.upload
    maps = [_activation_map(drawn) for drawn in answer.activation_maps]
    return PredictionAnswer(
        id=str(uuid7()),
        model=model_reference(answer.model),
        image=ImageSummary(
            sha256=upload.sha256,
            format=upload.image.format,
            width=upload.image.width,
            height=upload.image.height,
        ),
        diagnosis=DiagnosisScore(code=top.code, name=top.name, probability=_fraction(highest)),
        probabilities=[_class_probability(*pair) for pair in ranked],
        malignancy=_malignancy(ranked, answer.model.stored.manifest.thresholds.malignancy),
        notice=RESEARCH_NOTICE,
        activation_map=maps[0] if maps else None,
        activation_maps=maps if len(maps) > 1 else None,
    )


def _class_probability(diagnosis: Diagnosis, probability: float) -> ClassProbability:
    return ClassProbability(
        code=diagnosis.code,
        name=diagnosis.name,
        probability=_fraction(probability),
        malignant=diagnosis.malignant,
    )


def _malignancy(ranked: list[tuple[Diagnosis, float]], threshold: float) -> Malignancy:
    probability = _fraction(sum(share for diagnosis, share in ranked if diagnosis.malignant))
    return Malignancy(probability=probability, threshold=threshold, refer=probability >= threshold)


def _activation_map(drawn: DrawnMap) -> ActivationMap:
    return ActivationMap(code=drawn.code, data=base64.b64encode(drawn.png).decode("ascii"))


def _fraction(probability: float) -> float:
    """Cut off what float32 rounding puts beyond 0 and 1."""
    return min(max(probability, 0.0), 1.0)
