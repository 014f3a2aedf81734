"""The repository extension of the Open Inference Protocol: which versions there are.

Triton and MLServer clients read it, load and unload.
"""

import asyncio

from fastapi import APIRouter
from starlette.requests import Request

from lentigo_inference.api.dependencies import ServicesOfRequest
from lentigo_inference.api.open_inference import require_known
from lentigo_inference.api.open_inference_schemas import (
    LoadedVersion,
    LoadRequest,
    RepositoryIndexEntry,
    RepositoryIndexRequest,
    UnloadedModel,
)
from lentigo_inference.api.openapi import json_body, problem_responses
from lentigo_inference.api.uploads import read_json
from lentigo_inference.errors import LastVersionError, MalformedRequestError
from lentigo_inference.serving.model_manager import VersionStatus

router = APIRouter(prefix="/v2/repository", tags=["repository"])


@router.post(
    "/index",
    responses=problem_responses(400, 408, 415),
    openapi_extra=json_body(RepositoryIndexRequest),
)
async def index(request: Request, services: ServicesOfRequest) -> list[RepositoryIndexEntry]:
    """List every version in the repository with its state and, if it is not in use, the reason."""
    wanted = await read_json(request, RepositoryIndexRequest, services.settings.upload_timeout_s)
    return [
        RepositoryIndexEntry(
            name=services.store.name,
            version=str(state.version),
            state=state.status.value,
            reason=state.reason,
        )
        for state in services.reloader.states()
        if state.status is VersionStatus.READY or not wanted.ready
    ]


@router.post(
    "/models/{model}/load",
    responses=problem_responses(400, 403, 404, 408, 415, 422, 503),
    openapi_extra=json_body(LoadRequest),
)
async def load(request: Request, services: ServicesOfRequest, model: str) -> LoadedVersion:
    """Load the newest version anew, or the one that is named, and stay with that one.

    The version in use answers meanwhile, and stays if this fails.
    """
    require_known(services.store, model)
    # Counted, so that a volume that hangs is cut short at the end of the grace period.
    with services.stopping.accepted():
        asked = await read_json(request, LoadRequest, services.settings.upload_timeout_s)
        wanted = asked.parameters.version if asked.parameters else None
        version = None if wanted is None else _number(wanted)
        loaded = await asyncio.to_thread(services.reloader.load, version)
    return LoadedVersion(name=services.store.name, version=str(loaded))


@router.post("/models/{model}/unload", responses=problem_responses(403, 404, 409))
async def unload(services: ServicesOfRequest, model: str) -> UnloadedModel:
    """Refuse to unload the only version that is loaded; without one there is nothing to do."""
    require_known(services.store, model)
    current = services.slot.current
    if current is not None:
        raise LastVersionError(
            f"Version {current.version} is the only one loaded, and stays. Load another version in "
            "its place."
        )
    return UnloadedModel(name=services.store.name)


def _number(version: str) -> int:
    if not (version.isascii() and version.isdigit() and len(version) < 10):
        raise MalformedRequestError('The version to load is a number, such as "1".')
    return int(version)
