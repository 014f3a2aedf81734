"""The root of the service."""

from fastapi import APIRouter
from starlette.responses import RedirectResponse

router = APIRouter(include_in_schema=False)


@router.get("/")
async def home() -> RedirectResponse:
    """Lead to the description of the service."""
    return RedirectResponse("openapi.json")
