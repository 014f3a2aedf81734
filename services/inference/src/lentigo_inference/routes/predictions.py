"""`POST /v1/predictions`: an image in, a diagnosis out."""

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query
from starlette.requests import Request

from lentigo_inference.connected import while_connected
from lentigo_inference.multipart import FIELD
from lentigo_inference.openapi import problem_responses
from lentigo_inference.prediction_schemas import PredictionAnswer
from lentigo_inference.routes.answer_form import prediction_answer
from lentigo_inference.services import ServicesOfRequest
from lentigo_inference.serving.predictor import Explain, Wanted
from lentigo_inference.uploads import read_upload

router = APIRouter(tags=["predictions"])

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
