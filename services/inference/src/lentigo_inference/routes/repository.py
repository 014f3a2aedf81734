"""The repository extension of the Open Inference Protocol: which versions there are.

Triton and MLServer clients read it, load and unload.
"""

import asyncio
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request

from lentigo_contract.errors import LastVersionError, MalformedRequestError
from lentigo_inference.json_body import read_json
from lentigo_inference.open_inference_schemas import (
    LoadRequest,
    RepositoryIndexEntry,
    RepositoryIndexRequest,
)
from lentigo_inference.openapi import problem_responses
from lentigo_inference.reloader import VersionStatus
from lentigo_inference.routes.open_inference import require_known
from lentigo_inference.services import ServicesOfRequest

router = APIRouter(prefix="/v2/repository", tags=["repository"])

_REQUEST_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": False,
        "content": {"application/json": {"schema": RepositoryIndexRequest.model_json_schema()}},
    }
}

_LOAD_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": False,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "parameters": {
                            "type": "object",
                            "properties": {
                                "version": {
                                    "type": "string",
                                    "description": "Stay with this one; by default the newest.",
                                }
                            },
                        }
                    },
                }
            }
        },
    }
}


@router.post("/index", responses=problem_responses(400), openapi_extra=_REQUEST_BODY)
async def index(request: Request, services: ServicesOfRequest) -> list[RepositoryIndexEntry]:
    """List every version in the repository with its state and, if it is not in use, the reason."""
    wanted = await read_json(request, RepositoryIndexRequest)
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
    responses=problem_responses(400, 403, 404, 422, 503),
    openapi_extra=_LOAD_BODY,
)
async def load(request: Request, services: ServicesOfRequest, model: str) -> dict[str, str]:
    """Load the newest version anew, or the one that is named, and stay with that one.

    The version in use answers meanwhile, and stays if this fails.
    """
    require_known(services.store, model)
    wanted = (await read_json(request, LoadRequest)).parameters.version
    services.stopping.require_running()
    version = None if wanted is None else _number(wanted)
    loaded = await asyncio.to_thread(services.reloader.load, version)
    return {"name": services.store.name, "version": str(loaded)}


@router.post("/models/{model}/unload", responses=problem_responses(403, 404, 409))
async def unload(services: ServicesOfRequest, model: str) -> dict[str, str]:
    """Refuse to unload the only version that is loaded; without one there is nothing to do."""
    require_known(services.store, model)
    current = services.slot.current
    if current is not None:
        raise LastVersionError(
            f"Version {current.version} is the only one loaded, and stays. Load another version in "
            "its place."
        )
    return {"name": services.store.name}


def _number(version: str) -> int:
    if not (version.isascii() and version.isdigit() and len(version) < 10):
        raise MalformedRequestError('The version to load is a number, such as "1".')
    return int(version)
