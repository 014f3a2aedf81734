"""FastAPI dependencies: the state of the application, and the authorization of every request.

`authorize` is a dependency of the whole application, so a route that no table here lists needs a
key too.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypedDict

from fastapi import Depends
from starlette.requests import Request

from lentigo_contract.fhir.codes import CodeMap
from lentigo_contract.repository.store import ModelStore
from lentigo_inference.audit.lookup import AnswerFinder
from lentigo_inference.audit.records import Caller
from lentigo_inference.audit.trail import AuditTrail
from lentigo_inference.monitoring.monitor import Monitor
from lentigo_inference.observability.metrics import Metrics
from lentigo_inference.security.api_keys import Scope
from lentigo_inference.security.authenticator import Authenticator
from lentigo_inference.security.identity import Identity
from lentigo_inference.security.rate_limit import RateLimit
from lentigo_inference.serving.limits.admission import Admission, Shutdown
from lentigo_inference.serving.limits.upload_memory import Hold, UploadMemory
from lentigo_inference.serving.model_manager import ModelManager
from lentigo_inference.serving.model_slot import ModelSlot
from lentigo_inference.serving.predictor import Predictor
from lentigo_inference.settings import Settings
from lentigo_inference.shadow.trial import ShadowTrial


@dataclass(frozen=True, slots=True)
class Audit:
    """The audit trail: what writes it, and what finds answers in it."""

    trail: AuditTrail
    finder: AnswerFinder


@dataclass(frozen=True, slots=True)
class AppState:
    """The parts that routes use, made once by the lifespan.

    `audit` is None without LENTIGO_AUDIT_DIR, and `shadow` without LENTIGO_SHADOW_VERSION;
    `codes` are of other systems, for FHIR.
    """

    settings: Settings
    store: ModelStore
    slot: ModelSlot
    model_manager: ModelManager
    predictor: Predictor
    admission: Admission
    upload_memory: UploadMemory
    shutdown: Shutdown
    authenticator: Authenticator
    rate_limit: RateLimit
    metrics: Metrics
    audit: Audit | None
    monitor: Monitor
    shadow: ShadowTrial | None
    codes: CodeMap


class LifespanState(TypedDict):
    """What the lifespan yields; Starlette copies it to `request.state`."""

    app_state: AppState


async def _current_state(request: Request) -> AppState:
    state: AppState = request.state.app_state
    return state


CurrentState = Annotated[AppState, Depends(_current_state)]
"""The `AppState`, as a parameter of a route."""

# Open to all: they reveal nothing about a patient and must work before anyone has a key.
_OPEN: Final = frozenset(
    {
        "/",
        "/sw.js",
        "/share",
        "/openapi.json",
        "/fhir/metadata",
        "/v2/health/live",
        "/v2/health/ready",
    }
)
_OPEN_BELOW: Final = ("/page/",)
_ADMIN_BELOW: Final = "/v2/repository/models/"
_METRICS: Final = "/metrics"
_FEEDBACK: Final = "/v1/predictions/{id}/feedback"
_MONITORING: Final = "/v1/monitoring"

_BEARER: Final = "bearer"


def scope_for(path: str) -> Scope | None:
    """Return the scope that a route needs; None if it is open to all.

    Args:
        path: the route's template, such as `/v2/models/{model}`.
    """
    if path in _OPEN or path.startswith(_OPEN_BELOW):
        return None
    if path == _METRICS:
        return Scope.METRICS
    if path == _FEEDBACK:
        return Scope.FEEDBACK
    if path == _MONITORING or path.startswith(_ADMIN_BELOW):
        return Scope.ADMIN
    return Scope.PREDICT


async def authorize(request: Request) -> None:
    """Check the API key or token, and the rate limit, of a request.

    Runs before the body is read, so that a refusal costs no upload.

    Raises:
        UnauthorizedError: the route needs a key or token, and there is none that is accepted.
        IssuerUnavailableError: the token cannot be checked now.
        ForbiddenError: the key or token does not have the scope that the route needs.
        RateLimitedError: too many requests came with this key, or from this address without one.
    """
    route: Any = request.scope["route"]
    scope = scope_for(route.path)
    if scope is None:
        return
    state: AppState = request.state.app_state
    identity = await state.authenticator.authenticate(presented_key(request))
    request.state.identity = identity
    if identity is not None:
        # Before anything else, so that the line of a refusal says whose it was.
        request.state.record.key = identity.name
    state.authenticator.authorize(identity, scope)
    if scope is Scope.METRICS:
        return
    if identity is None:
        state.rate_limit.take(f"address {client_of(request) or ''}")
    else:
        state.rate_limit.take(f"key {identity.name}", identity.rate_limit_per_minute)


@contextmanager
def admitted(request: Request, state: AppState, weight: int = 1) -> Iterator[Hold]:
    """Count a prediction as under way while the context lasts, within the limits of its caller.

    Args:
        request: one that was authorized.
        state: has the admission.
        weight: how many predictions it counts as.

    Yields:
        What counts the bytes of its body, which are given back with it.

    Raises:
        ServiceBusyError: as many as allowed are under way.
        RateLimitedError: the key has its share, or as many as it may, under way.
        ShutdownError: the service is being stopped.
    """
    identity: Identity | None = request.state.identity
    key, limit = (None, None) if identity is None else (identity.name, identity.max_pending)
    with state.admission.enter(weight, key, limit), state.upload_memory.body(key) as hold:
        yield hold


def client_of(request: Request) -> str | None:
    """Return the address that a request came from; behind trusted proxies, that of their client."""
    return request.client.host if request.client else None


def caller_of(request: Request) -> Caller:
    """Return whom the answer to a request goes to, for the audit trail."""
    state = request.state
    return Caller(state.request_id, state.record.key, client_of(request))


def presented_key(request: Request) -> str | None:
    """Return the API key or token of a request, as a bearer (RFC 6750) or in `X-API-Key`."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == _BEARER:
        return token.strip()
    return request.headers.get("x-api-key")
