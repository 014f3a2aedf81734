"""`POST /v1/predictions`: an image in, a diagnosis out.

`POST /v1/predictions:batch`: several images in, their diagnoses in the same order out.
"""

import math
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query
from starlette.requests import Request

from lentigo_contract.errors import LentigoError
from lentigo_inference.api.dependencies import ServicesOfRequest
from lentigo_inference.api.disconnect import while_connected
from lentigo_inference.api.multipart import FIELD
from lentigo_inference.api.openapi import PREDICTIONS, problem_responses
from lentigo_inference.api.problems import problem_of_error
from lentigo_inference.api.responses import prediction_answer
from lentigo_inference.api.schemas import BatchAnswer, PredictionAnswer, Problem
from lentigo_inference.api.uploads import read_upload, read_uploads
from lentigo_inference.serving.predictor import Answer, Explain, Wanted

router = APIRouter(tags=[PREDICTIONS])

Force = Annotated[
    bool,
    Query(
        description="`true` answers also about an image that cannot be judged; `quality` still "
        "says so."
    ),
]

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
    force: Force = False,
) -> PredictionAnswer:
    """Name the most likely diagnosis of a dermatoscopic image, if it can be judged."""
    settings = services.settings
    # Refused before the upload is read, rather than after.
    services.slot.require()
    with services.admission.enter():
        data = await read_upload(request, settings.max_upload_bytes, settings.upload_timeout_s)
        answer = await while_connected(
            request,
            services.predictor.predict(data, Wanted(_maps(explain), force), request.state.record),
        )
    return prediction_answer(answer)


def _maps(explain: bool | Literal["all"]) -> Explain:
    if explain == "all":
        return "all"
    return "top" if explain else "none"


MAX_IMAGES: Final = 32

_BATCH_REQUEST_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "description": f"A form with 1 to {MAX_IMAGES} parts named {FIELD}.",
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [FIELD],
                    "additionalProperties": False,
                    "properties": {
                        FIELD: {
                            "type": "array",
                            "minItems": 1,
                            "maxItems": MAX_IMAGES,
                            "items": {"type": "string", "format": "binary"},
                        }
                    },
                }
            },
        },
    }
}


@router.post(
    "/v1/predictions:batch",
    responses=problem_responses(400, 408, 413, 415, 500, 503),
    openapi_extra=_BATCH_REQUEST_BODY,
)
async def predict_batch(
    request: Request, services: ServicesOfRequest, *, force: Force = False
) -> BatchAnswer:
    """Name the most likely diagnosis of each image; an error stands in place of one that failed.

    All are answered by one version.
    """
    settings = services.settings
    # Refused before the upload is read, rather than after.
    services.slot.require()
    weight = math.ceil(settings.max_batch_bytes / settings.max_upload_bytes)
    with services.admission.enter(weight):
        uploads = await read_uploads(
            request,
            max_image_bytes=settings.max_upload_bytes,
            max_images=MAX_IMAGES,
            max_bytes=settings.max_batch_bytes,
            timeout_s=settings.upload_timeout_s,
        )
        answers = await while_connected(
            request,
            services.predictor.predict_each(
                uploads,
                Wanted(force=force),
                at_once=settings.decode_threads,
                record=request.state.record,
            ),
        )
    return BatchAnswer(results=[_result(request, answer) for answer in answers])


def _result(request: Request, answer: Answer | LentigoError) -> PredictionAnswer | Problem:
    if isinstance(answer, Answer):
        return prediction_answer(answer)
    return problem_of_error(request, answer)
