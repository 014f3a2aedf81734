"""What requests are served with: made by the lifespan, handed to every route.

Who may ask for what: one table over all routes, and the dependency that holds it.

It is a dependency of the whole application, so that a route nobody thought of here needs a key.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Final, TypedDict

from fastapi import Depends
from starlette.requests import Request

from lentigo_contract.repository.store import ModelStore
from lentigo_inference.observability.metrics import Metrics
from lentigo_inference.security.api_keys import Scope
from lentigo_inference.security.authenticator import Gatekeeper
from lentigo_inference.security.rate_limit import RateLimit
from lentigo_inference.serving.admission import Admission, Stopping
from lentigo_inference.serving.model_manager import Reloader
from lentigo_inference.serving.model_slot import ModelSlot
from lentigo_inference.serving.predictor import Predictor
from lentigo_inference.settings import Settings


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a route may ask for."""

    settings: Settings
    store: ModelStore
    slot: ModelSlot
    reloader: Reloader
    predictor: Predictor
    admission: Admission
    stopping: Stopping
    gatekeeper: Gatekeeper
    rate_limit: RateLimit
    metrics: Metrics


class LifespanState(TypedDict):
    """The state of the application while it runs."""

    services: Services


async def _services_of(request: Request) -> Services:
    services: Services = request.state.services
    return services


ServicesOfRequest = Annotated[Services, Depends(_services_of)]


# What tells nothing of a patient and must answer before anyone has a key.
_OPEN: Final = frozenset({"/", "/sw.js", "/openapi.json", "/v2/health/live", "/v2/health/ready"})
_OPEN_BELOW: Final = ("/page/",)
_ADMIN: Final = (
    "/v2/repository/models/{model}/load",
    "/v2/repository/models/{model}/unload",
)
_METRICS: Final = "/metrics"

_BEARER: Final = "bearer"


def scope_for(path: str) -> Scope | None:
    """Give the scope that a route needs; None is open to all.

    Args:
        path: the route's template, such as `/v2/models/{model}`.
    """
    if path in _OPEN or path.startswith(_OPEN_BELOW):
        return None
    if path == _METRICS:
        return Scope.METRICS
    if path in _ADMIN or path.startswith("/v2/repository/models/"):
        return Scope.ADMIN
    return Scope.PREDICT


async def admit(request: Request) -> None:
    """Let a request through whose key allows it, and that is not one too many.

    Runs before the body is read, so that a refusal costs no upload.

    Raises:
        UnauthorizedError: a key is needed, and this is none.
        ForbiddenError: the key does not allow this.
        RateLimitedError: there were too many requests with the key.
    """
    route: Any = request.scope["route"]
    scope = scope_for(route.path)
    if scope is None:
        return
    services: Services = request.state.services
    name = await services.gatekeeper.identify(presented_key(request), scope)
    if name is not None:
        request.state.record.key = name
    if scope is not Scope.METRICS:
        client = request.client.host if request.client else ""
        services.rate_limit.take(f"address {client}" if name is None else f"key {name}")


def presented_key(request: Request) -> str | None:
    """Give the key that was sent, as a bearer token (RFC 6750) or in a header of its own."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == _BEARER:
        return token.strip()
    return request.headers.get("x-api-key")
