"""The repository extension of the Open Inference Protocol: list, load and unload versions.

Clients of Triton and MLServer use it.
"""

import asyncio

from fastapi import APIRouter
from starlette.requests import Request

from lentigo_contract.repository.layout import is_version_name
from lentigo_inference.api.accounting import put_act_on_record
from lentigo_inference.api.dependencies import CurrentState
from lentigo_inference.api.open_inference.routes import require_model_name
from lentigo_inference.api.open_inference.schemas import (
    LoadedVersion,
    LoadParameters,
    LoadRequest,
    RepositoryIndexEntry,
    RepositoryIndexRequest,
    UnloadedModel,
)
from lentigo_inference.api.openapi import json_body, problem_responses
from lentigo_inference.api.requests.uploads import read_json
from lentigo_inference.errors import LastVersionError, MalformedRequestError
from lentigo_inference.serving.model_manager import VersionStatus

router = APIRouter(prefix="/v2/repository", tags=["repository"])


@router.post(
    "/index",
    responses=problem_responses(400, 408, 415),
    openapi_extra=json_body(RepositoryIndexRequest),
)
async def index(request: Request, state: CurrentState) -> list[RepositoryIndexEntry]:
    """List every version in the repository, with its state and why it is not in use."""
    filters = await read_json(request, RepositoryIndexRequest, state.settings.upload_timeout_s)
    return [
        RepositoryIndexEntry(
            name=state.store.name,
            version=str(entry.version),
            state=entry.status.value,
            reason=entry.reason,
        )
        for entry in state.model_manager.states()
        if entry.status is VersionStatus.READY or not filters.ready
    ]


@router.post(
    "/models/{model}/load",
    responses=problem_responses(400, 403, 404, 408, 415, 422, 503),
    openapi_extra=json_body(LoadRequest),
)
async def load(request: Request, state: CurrentState, model: str) -> LoadedVersion:
    """Load a version and stay with it; without a version, follow the newest again.

    The version in use serves meanwhile, and stays in use if this fails. A version whose publication
    was forced, or that was trained with a limit, is refused unless `force` says otherwise.
    """
    require_model_name(state.store, model)
    # Counted as work under way, so that a hanging volume is cut off at the end of the grace period.
    with state.shutdown.accepted():
        body = await read_json(request, LoadRequest, state.settings.upload_timeout_s)
        wanted = body.parameters or LoadParameters()
        version = None if wanted.version is None else _version_number(wanted.version)
        await put_act_on_record(request, state, "load", version, forced=wanted.force)
        loaded = await asyncio.to_thread(state.model_manager.load, version, force=wanted.force)
    return LoadedVersion(name=state.store.name, version=str(loaded))


@router.post("/models/{model}/unload", responses=problem_responses(403, 404, 409, 503))
async def unload(request: Request, state: CurrentState, model: str) -> UnloadedModel:
    """Refuse to unload the only loaded version; without one, do nothing."""
    require_model_name(state.store, model)
    await put_act_on_record(request, state, "unload")
    current = state.slot.current
    if current is not None:
        raise LastVersionError(
            f"Version {current.version} is the only one loaded, so it cannot be unloaded. Load "
            "another version instead."
        )
    return UnloadedModel(name=state.store.name)


def _version_number(version: str) -> int:
    if not is_version_name(version):
        raise MalformedRequestError('The version to load is a number, such as "1".')
    return int(version)
