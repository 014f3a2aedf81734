"""Who may ask for what: one table over all routes, and the dependency that holds it.

It is a dependency of the whole application, so that a route nobody thought of here needs a key.
"""

from typing import TYPE_CHECKING, Any, Final

from starlette.requests import Request

from lentigo_inference.security.api_keys import Scope

if TYPE_CHECKING:
    from lentigo_inference.services import Services

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
