"""The repository extension of the Open Inference Protocol: which versions there are.

Triton and MLServer clients read it. Loading and unloading by request come later.
"""

from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request

from lentigo_inference.json_body import read_json
from lentigo_inference.open_inference_schemas import RepositoryIndexEntry, RepositoryIndexRequest
from lentigo_inference.openapi import problem_responses
from lentigo_inference.reloader import VersionStatus
from lentigo_inference.services import ServicesOfRequest

router = APIRouter(prefix="/v2/repository", tags=["repository"])

_REQUEST_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": False,
        "content": {"application/json": {"schema": RepositoryIndexRequest.model_json_schema()}},
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
