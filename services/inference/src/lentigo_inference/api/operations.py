"""Routes for operators and clients: `GET /metrics` and `GET /openapi.json`."""

import functools
import json

from fastapi import APIRouter, FastAPI
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from starlette.requests import Request
from starlette.responses import Response

from lentigo_inference.api.dependencies import AppState
from lentigo_inference.api.openapi import problem_responses

router = APIRouter(tags=["metrics"])
document_router = APIRouter(include_in_schema=False)


class MetricsResponse(Response):
    """Prometheus' text format 0.0.4, which every Prometheus reads."""

    media_type = CONTENT_TYPE_PLAIN_0_0_4


# Not async, so that it runs in a thread: it reads files under /proc and writes about 100 lines.
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
    """Return every metric in Prometheus' text format."""
    state: AppState = request.state.app_state
    return MetricsResponse(generate_latest(state.metrics.registry))


# Not async, so that it runs in a thread: the document is made at the first request.
@document_router.get("/openapi.json")
def openapi_document(request: Request) -> Response:
    """Return the OpenAPI document."""
    return Response(_document_of(request.app), media_type="application/json")


@functools.lru_cache(maxsize=1)
def _document_of(app: FastAPI) -> bytes:
    """Return the document as text; anybody may ask for it, and making it takes milliseconds."""
    return json.dumps(app.openapi(), ensure_ascii=False, separators=(",", ":")).encode()
