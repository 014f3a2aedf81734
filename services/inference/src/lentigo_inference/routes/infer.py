"""`POST /v2/models/{m}/infer`: tensors in, tensors out, as public clients speak."""

import json
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lentigo_contract.errors import NotReadyError
from lentigo_inference.connected import while_connected
from lentigo_inference.open_inference_schemas import InferAnswer, InferRequest
from lentigo_inference.openapi import Responses, json_body, problem_responses
from lentigo_inference.routes.open_inference import wanted_model
from lentigo_inference.services import ServicesOfRequest
from lentigo_inference.serving.model_slot import LoadedModel
from lentigo_inference.tensors import (
    HEADER,
    body_limit,
    format_answer,
    parse_request,
    require_outputs,
)
from lentigo_inference.uploads import read_body

router = APIRouter(prefix="/v2", tags=["open inference"])

_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}
_REQUEST_BODY: Final = json_body(
    InferRequest,
    required=True,
    description=f"JSON; or JSON of as many bytes as the header {HEADER} says, and then the tensors "
    "in binary.",
    others={"application/octet-stream": _BINARY},
)
_RESPONSES: Final[Responses] = {
    200: {
        "content": {
            "application/octet-stream": {
                **_BINARY,
                "example": "The JSON of the answer, and behind it the tensors in binary.",
            }
        },
        "headers": {
            HEADER: {
                "description": "Bytes of JSON before the tensors; only where there are tensors in "
                "binary.",
                "schema": {"type": "integer"},
            }
        },
    },
    **problem_responses(400, 404, 408, 413, 415, 500, 503),
}


@router.post(
    "/models/{model}/infer",
    responses=_RESPONSES,
    response_model=InferAnswer,
    openapi_extra=_REQUEST_BODY,
)
@router.post(
    "/models/{model}/versions/{version}/infer",
    responses=_RESPONSES,
    response_model=InferAnswer,
    openapi_extra=_REQUEST_BODY,
)
async def infer(
    request: Request, services: ServicesOfRequest, model: str, version: str | None = None
) -> Response:
    """Run the version in use on pixels; without `outputs` it gives the probabilities alone.

    Pixels are taken as they are: nothing is refused that cannot be judged.
    """
    # Refused before the body is read, rather than after.
    wanted_model(services, model, version)
    header = request.headers.get(HEADER)
    with services.admission.enter():
        body = await read_body(request, body_limit(header), services.settings.upload_timeout_s)
        asked, images = await services.predictor.aside(lambda: parse_request(body, header))

        def require(loaded: LoadedModel) -> None:
            if version is not None and version != str(loaded.version):
                raise NotReadyError(f"Version {version} is not in use any more.")
            require_outputs(asked, loaded.stored.manifest)

        loaded, prediction = await while_connected(
            request, services.predictor.infer(images, require, request.state.record)
        )
    manifest = loaded.stored.manifest
    answer, tensors = format_answer(asked, prediction, manifest.name, str(manifest.version))
    if not tensors:
        return JSONResponse(answer)
    head = json.dumps(answer).encode()
    return Response(
        b"".join((head, *tensors)),
        media_type="application/octet-stream",
        headers={HEADER: str(len(head))},
    )
