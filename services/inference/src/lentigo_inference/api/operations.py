"""`GET /metrics`: the service's numbers, as Prometheus reads them.

The description of the service.
"""

import asyncio

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lentigo_inference.api.dependencies import Services
from lentigo_inference.api.openapi import problem_responses

router = APIRouter(tags=["metrics"])


class MetricsResponse(Response):
    """Prometheus' text format, the version that every release of it reads."""

    media_type = CONTENT_TYPE_PLAIN_0_0_4


# Reads files under /proc and writes some hundred lines, so it runs in a thread.
@router.get(
    "/metrics",
    response_class=MetricsResponse,
    responses={
        **problem_responses(),
        200: {
            "content": {
                CONTENT_TYPE_PLAIN_0_0_4: {
                    "schema": {"type": "string"},
                    "example": "# TYPE lentigo_model_version gauge\nlentigo_model_version 1.0\n",
                }
            }
        },
    },
)
def metrics(request: Request) -> Response:
    """Give every metric in Prometheus' text format."""
    services: Services = request.state.services
    return MetricsResponse(generate_latest(services.metrics.registry))


document_router = APIRouter(include_in_schema=False)


@document_router.get("/openapi.json")
async def openapi_document(request: Request) -> JSONResponse:
    """Describe every route; made when it is first asked for, which takes too long for the loop."""
    return JSONResponse(await asyncio.to_thread(request.app.openapi))
