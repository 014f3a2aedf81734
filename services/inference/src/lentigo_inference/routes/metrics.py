"""`GET /metrics`: the service's numbers, as Prometheus reads them."""

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from starlette.requests import Request
from starlette.responses import Response

from lentigo_inference.openapi import problem_responses
from lentigo_inference.services import Services

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
