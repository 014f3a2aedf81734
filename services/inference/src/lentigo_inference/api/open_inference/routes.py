"""The Open Inference Protocol, version 2: health, metadata and inference on tensors.

https://github.com/kserve/open-inference-protocol, as KServe, Triton and MLServer implement it.
"""

import json
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lentigo_contract.errors import VersionNotFoundError
from lentigo_contract.labels import CODES
from lentigo_contract.repository.store import ModelStore
from lentigo_engines.base import UNLIKENESS, outputs_of
from lentigo_inference import __version__
from lentigo_inference.api.accounting import put_tensors_on_record
from lentigo_inference.api.dependencies import AppState, CurrentState, admitted
from lentigo_inference.api.open_inference.schemas import (
    InferRequest,
    InferResponse,
    ModelMetadata,
    ModelReady,
    ServerLive,
    ServerMetadata,
    ServerReady,
    TensorMetadata,
)
from lentigo_inference.api.open_inference.tensors import (
    HEADER,
    body_limit,
    format_response,
    parse_request,
    require_outputs,
)
from lentigo_inference.api.openapi import PREDICTIONS, Responses, json_body, problem_responses
from lentigo_inference.api.requests.disconnect import cancel_on_disconnect
from lentigo_inference.api.requests.uploads import read_body
from lentigo_inference.errors import NotReadyError
from lentigo_inference.serving.model_slot import LoadedModel

router = APIRouter(prefix="/v2", tags=["open inference"])

_EXTENSIONS: Final = ("binary_tensor_data", "model_repository")


@router.get("", responses=problem_responses())
async def server_metadata(state: CurrentState) -> ServerMetadata:
    """Return the name, version and protocol extensions of this server."""
    return ServerMetadata(name=state.store.name, version=__version__, extensions=list(_EXTENSIONS))


@router.get("/health/live", responses=problem_responses())
async def server_live() -> ServerLive:
    """Report that the process responds. Restart a container that does not."""
    return ServerLive(live=True)


@router.get("/health/ready", responses=problem_responses(503))
async def server_ready(state: CurrentState) -> ServerReady:
    """Report whether the service can predict; a 503 says why not, without details."""
    state.shutdown.require_ready()
    state.slot.require_openly()
    return ServerReady(ready=True)


@router.get("/models/{model}", responses=problem_responses(404, 503))
@router.get("/models/{model}/versions/{version}", responses=problem_responses(404, 503))
async def model_metadata(
    state: CurrentState, model: str, version: str | None = None
) -> ModelMetadata:
    """Describe the tensors of the version in use."""
    loaded = require_model(state, model, version)
    manifest = loaded.stored.manifest
    geometry, cells = manifest.input, manifest.activation_map
    classes = len(CODES)
    image = [-1, geometry.height, geometry.width, geometry.channels]
    shapes = {
        "probabilities": [-1, classes],
        "activation_map": [-1, cells.height, cells.width, classes],
        UNLIKENESS: [-1],
    }
    return ModelMetadata(
        name=manifest.name,
        versions=[str(manifest.version)],
        platform=loaded.engine.platform,
        inputs=[TensorMetadata(name="image", datatype="UINT8", shape=image)],
        outputs=[
            TensorMetadata(name=name, datatype="FP32", shape=shapes[name])
            for name in outputs_of(manifest)
        ],
    )


@router.get("/models/{model}/ready", responses=problem_responses(404, 503))
@router.get("/models/{model}/versions/{version}/ready", responses=problem_responses(404, 503))
async def model_ready(state: CurrentState, model: str, version: str | None = None) -> ModelReady:
    """Report whether the model, or one version of it, is in use."""
    state.shutdown.require_ready()
    loaded = require_model(state, model, version)
    return ModelReady(name=loaded.stored.manifest.name, ready=True)


def require_model(state: AppState, model: str, version: str | None) -> LoadedModel:
    """Return the model in use, if it is the requested one.

    Raises:
        VersionNotFoundError: another model, or a version that is not in the repository.
        NotReadyError: the version is in the repository but not in use.
    """
    require_model_name(state.store, model)
    current = state.slot.current
    if version is None:
        return state.slot.require()
    if current is not None and version == str(current.version):
        return current
    for entry in state.model_manager.states():
        if version == str(entry.version):
            raise NotReadyError(
                f"Version {version} is not in use: {entry.reason or entry.status.lower()}",
                state.settings.reload_interval_s,
            )
    raise VersionNotFoundError(
        "The repository has no such version. POST /v2/repository/index lists all versions."
    )


def require_model_name(store: ModelStore, model: str) -> None:
    """Raise VersionNotFoundError unless it is the served model."""
    if model != store.name:
        raise VersionNotFoundError(f'The only model served here is "{store.name}".')


_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}
_REQUEST_BODY: Final = json_body(
    InferRequest,
    required=True,
    description=f"JSON, or JSON followed by the tensors in binary; the header {HEADER} then gives "
    "the length of the JSON in bytes.",
    others={"application/octet-stream": _BINARY},
)
_RESPONSES: Final[Responses] = {
    200: {
        "content": {
            "application/octet-stream": {
                **_BINARY,
                "example": "The JSON of the response, followed by the tensors in binary.",
            }
        },
        "headers": {
            HEADER: {
                "description": "Length of the JSON before the tensors, in bytes; only sent with "
                "tensors in binary.",
                "schema": {"type": "integer"},
            }
        },
    },
    **problem_responses(400, 404, 408, 413, 415, 500, 503),
}


@router.post(
    "/models/{model}/infer",
    responses=_RESPONSES,
    response_model=InferResponse,
    tags=[PREDICTIONS],
    openapi_extra=_REQUEST_BODY,
)
@router.post(
    "/models/{model}/versions/{version}/infer",
    responses=_RESPONSES,
    response_model=InferResponse,
    tags=[PREDICTIONS],
    openapi_extra=_REQUEST_BODY,
)
async def infer(
    request: Request, state: CurrentState, model: str, version: str | None = None
) -> Response:
    """Run the model on pixels; without `outputs` it returns all of them.

    The pixels are used as they are, without a check of the image's quality.
    """
    # Checked before the body is read, so that a refusal costs no upload.
    require_model(state, model, version)
    header_length = request.headers.get(HEADER)
    with admitted(request, state) as hold:
        body = await read_body(
            request, body_limit(header_length), state.settings.upload_timeout_s, hold=hold
        )
        inference, images = await state.predictor.aside(lambda: parse_request(body, header_length))

        def require(loaded: LoadedModel) -> None:
            if version is not None and version != str(loaded.version):
                raise NotReadyError(f"Version {version} is no longer in use.")
            require_outputs(inference, loaded.stored.manifest)

        loaded, prediction = await cancel_on_disconnect(
            request, state.predictor.infer(images, require, request.state.record)
        )
        await put_tensors_on_record(request, state, images, prediction, loaded)
    content, tensors = format_response(inference, prediction, loaded.stored.manifest)
    if not tensors:
        return JSONResponse(content)
    header_bytes = json.dumps(content).encode()
    return Response(
        b"".join((header_bytes, *tensors)),
        media_type="application/octet-stream",
        headers={HEADER: str(len(header_bytes))},
    )
