"""The Open Inference Protocol, version 2: health and metadata.

https://github.com/kserve/open-inference-protocol, as KServe, Triton and MLServer speak it.

`POST /v2/models/{m}/infer`: tensors in, tensors out, as public clients speak.
"""

import json
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lentigo_contract.errors import VersionNotFoundError
from lentigo_contract.labels import CODES
from lentigo_contract.repository.store import ModelStore
from lentigo_inference import __version__
from lentigo_inference.api.dependencies import Services, ServicesOfRequest
from lentigo_inference.api.disconnect import while_connected
from lentigo_inference.api.open_inference_schemas import (
    InferAnswer,
    InferRequest,
    ModelMetadata,
    ModelReady,
    ServerLive,
    ServerMetadata,
    ServerReady,
    TensorMetadata,
)
from lentigo_inference.api.openapi import PREDICTIONS, Responses, json_body, problem_responses
from lentigo_inference.api.tensors import (
    HEADER,
    body_limit,
    format_answer,
    parse_request,
    require_outputs,
)
from lentigo_inference.api.uploads import read_body
from lentigo_inference.engines.base import UNLIKENESS, outputs_of
from lentigo_inference.errors import NotReadyError
from lentigo_inference.serving.model_slot import LoadedModel

router = APIRouter(prefix="/v2", tags=["open inference"])

_EXTENSIONS: Final = ("binary_tensor_data", "model_repository")


@router.get("", responses=problem_responses())
async def server_metadata(services: ServicesOfRequest) -> ServerMetadata:
    """Tell what serves here."""
    return ServerMetadata(
        name=services.store.name, version=__version__, extensions=list(_EXTENSIONS)
    )


@router.get("/health/live", responses=problem_responses())
async def server_live() -> ServerLive:
    """Tell that the process answers; a container that does not should be started anew."""
    return ServerLive(live=True)


@router.get("/health/ready", responses=problem_responses(503))
async def server_ready(services: ServicesOfRequest) -> ServerReady:
    """Tell whether predictions would be answered; 503 says why not."""
    services.stopping.require_running()
    services.slot.require()
    return ServerReady(ready=True)


@router.get("/models/{model}", responses=problem_responses(404, 503))
@router.get("/models/{model}/versions/{version}", responses=problem_responses(404, 503))
async def model_metadata(
    services: ServicesOfRequest, model: str, version: str | None = None
) -> ModelMetadata:
    """Describe the tensors of the version in use."""
    loaded = wanted_model(services, model, version)
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
async def model_ready(
    services: ServicesOfRequest, model: str, version: str | None = None
) -> ModelReady:
    """Tell whether a model, or one version of it, is in use."""
    services.stopping.require_running()
    loaded = wanted_model(services, model, version)
    return ModelReady(name=loaded.stored.manifest.name, ready=True)


def wanted_model(services: Services, model: str, version: str | None) -> LoadedModel:
    """Give the model in use if it is the one that was asked for.

    Raises:
        VersionNotFoundError: another model, or a version the repository does not hold.
        NotReadyError: it is known but not in use.
    """
    require_known(services.store, model)
    current = services.slot.current
    if version is None:
        return services.slot.require()
    if current is not None and version == str(current.version):
        return current
    for state in services.reloader.states():
        if version == str(state.version):
            raise NotReadyError(
                f"Version {version} is not in use: {state.reason or state.status.lower()}",
                services.settings.reload_interval_s,
            )
    raise VersionNotFoundError(
        "The repository holds no such version. POST /v2/repository/index lists those there are."
    )


def require_known(store: ModelStore, model: str) -> None:
    """Refuse any other model; raises VersionNotFoundError."""
    if model != store.name:
        raise VersionNotFoundError(f'The only model served here is "{store.name}".')


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
    tags=[PREDICTIONS],
    openapi_extra=_REQUEST_BODY,
)
@router.post(
    "/models/{model}/versions/{version}/infer",
    responses=_RESPONSES,
    response_model=InferAnswer,
    tags=[PREDICTIONS],
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
