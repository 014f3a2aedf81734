"""The description of the service."""

import asyncio

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse

router = APIRouter(include_in_schema=False)


@router.get("/openapi.json")
async def openapi_document(request: Request) -> JSONResponse:
    """Describe every route; made when it is first asked for, which takes too long for the loop."""
    return JSONResponse(await asyncio.to_thread(request.app.openapi))
