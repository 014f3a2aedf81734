"""`POST /v1/predictions:batch`: several images in, their diagnoses in the same order out."""

import math
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request

from lentigo_contract.errors import LentigoError
from lentigo_inference.connected import while_connected
from lentigo_inference.multipart import FIELD
from lentigo_inference.openapi import problem_responses
from lentigo_inference.prediction_schemas import BatchAnswer, PredictionAnswer
from lentigo_inference.problems import problem_of_error
from lentigo_inference.routes.answer_form import prediction_answer
from lentigo_inference.routes.predictions import Force
from lentigo_inference.schemas import Problem
from lentigo_inference.services import ServicesOfRequest
from lentigo_inference.serving.predictor import Answer, Wanted
from lentigo_inference.uploads import read_uploads

router = APIRouter(tags=["predictions"])

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
