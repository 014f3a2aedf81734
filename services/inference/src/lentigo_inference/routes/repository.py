"""The repository extension of the Open Inference Protocol: which versions there are.

Triton and MLServer clients read it. Loading and unloading by request come later.
"""

from typing import Final

from fastapi import APIRouter

from lentigo_inference.openapi import problem_responses
from lentigo_inference.reloader import VersionStatus
from lentigo_inference.schemas import RepositoryIndexEntry, RepositoryIndexRequest
from lentigo_inference.services import ServicesOfRequest

# Of JSON; what is expected has some ten bytes.
_MAX_BODY_BYTES: Final = 64 * 2**10

router = APIRouter(prefix="/v2/repository", tags=["repository"])


@router.post("/index", responses=problem_responses(400), max_body_size=_MAX_BODY_BYTES)
async def index(
    services: ServicesOfRequest, wanted: RepositoryIndexRequest | None = None
) -> list[RepositoryIndexEntry]:
    """List every version in the repository with its state and, if it is not in use, the reason."""
    ready_only = wanted is not None and wanted.ready
    return [
        RepositoryIndexEntry(
            name=services.store.name,
            version=str(state.version),
            state=state.status.value,
            reason=state.reason,
        )
        for state in services.reloader.states()
        if state.status is VersionStatus.READY or not ready_only
    ]
