"""Middleware between the request log and FastAPI: what is refused before any route, and HEAD."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final

from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lentigo_inference.api.dependencies import presented_key
from lentigo_inference.api.problems import refusal
from lentigo_inference.errors import (
    MisdirectedRequestError,
    OriginRefusedError,
    RateLimitedError,
    ServingError,
    UnavailableError,
)
from lentigo_inference.security.hosts import is_own_host

if TYPE_CHECKING:
    from lentigo_inference.api.dependencies import AppState


REFUSAL: Final = "lentigo.refusal"
"""ASGI extension by which the protocol says why it has no request for a route."""

# The paths of predictions that name a model end with it.
_VARYING_END: Final = "/infer"


class ProtocolErrorMiddleware:
    """Answers what the protocol refused, so that the log and the metrics have it like any other."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; those that the protocol could read pass through."""
        refused = scope.get("extensions", {}).get(REFUSAL)
        if refused is None:
            await self._app(scope, receive, send)
            return
        error: ServingError = refused["error"]
        request = Request(scope)
        request.state.record.shed = isinstance(error, UnavailableError)
        response = await refusal(request, error)
        await response(scope, receive, send)


class HostMiddleware:
    """Refuses hosts that cannot be this service, where no key keeps web pages of others away."""

    def __init__(self, app: ASGIApp, allowed: Collection[str]) -> None:
        """Wrap an application; `allowed` has further names, in lower case."""
        self._app = app
        self._allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; those for this service pass through."""
        if scope["type"] != "http" or is_own_host(
            Headers(scope=scope).get("host", ""), self._allowed
        ):
            await self._app(scope, receive, send)
            return
        # RFC 9110, section 15.5.20.
        error = MisdirectedRequestError(
            "The service does not answer for this Host. Name it in LENTIGO_ALLOWED_HOSTS, or ask "
            "127.0.0.1."
        )
        response = await refusal(Request(scope), error)
        await response(scope, receive, send)


class ProblemCORSMiddleware(CORSMiddleware):
    """Starlette's, with a problem document where a preflight request is refused."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http" and scope["method"] == "OPTIONS":
            headers = Headers(scope=scope)
            asked = {"origin", "access-control-request-method"} <= set(headers)
            if asked and super().preflight_response(headers).status_code >= 400:
                response = await self._refusal(Request(scope))
                await response(scope, receive, send)
                return
        await super().__call__(scope, receive, send)

    @staticmethod
    async def _refusal(request: Request) -> Response:
        return await refusal(
            request,
            OriginRefusedError(
                "Pages of this origin may not send this request. LENTIGO_CORS_ORIGINS lists those "
                "that may."
            ),
        )


class HeadMethodMiddleware:
    """Answers HEAD like GET, without the body; `curl -I` and many health checks send HEAD.

    RFC 9110, section 9.1, asks it of every server, and FastAPI's routes answer 405. Routes see GET.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; other methods pass through."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            # The server then writes no body, and the log shows the client's method.
            scope["method"] = "HEAD"
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        scope["method"] = "GET"
        try:
            await self._app(scope, receive, send_head)
        finally:
            scope["method"] = "HEAD"


class LoadSheddingMiddleware:
    """Refuses predictions in front of FastAPI while as many as allowed are under way.

    The routes would refuse them as well. But under a load of several times what the service can
    answer, finding that out behind FastAPI's layers takes processor time from the predictions that
    were admitted (docs/decisions/0013-shed-load-before-fastapi.md).

    No key is required for such a refusal, which says only that the service is busy or stopping. If
    a known key, or a token that was checked before, was sent, the log names it.
    """

    def __init__(self, app: ASGIApp, predicting: Sequence[APIRoute]) -> None:
        """Wrap an application whose lifespan yields `AppState`.

        Args:
            app: the application.
            predicting: its routes that predict, all by POST; others pass through.
        """
        self._app = app
        # A dictionary finds most of them sooner than their patterns would.
        self._by_path = {route.path: route for route in predicting if "{" not in route.path}
        self._varying = [route for route in predicting if "{" in route.path]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; anything but a prediction passes through."""
        if scope["type"] == "http":
            state: AppState = scope["state"]["app_state"]
            route = self._predicting_route(scope) if state.admission.crowded else None
            if route is not None:
                request = Request(scope)
                caller = state.authenticator.known(presented_key(request))
                key = None if caller is None else caller.name
                limit = None if caller is None else caller.max_pending
                try:
                    state.admission.require_room(key=key, key_limit=limit)
                except (UnavailableError, RateLimitedError) as error:
                    scope["route"] = route
                    request.state.record.shed = True
                    request.state.record.key = key
                    response = await refusal(request, error)
                    await response(scope, receive, send)
                    return
        await self._app(scope, receive, send)

    def _predicting_route(self, scope: Scope) -> BaseRoute | None:
        """Return the route that would predict, if one matches."""
        if scope["method"] != "POST":
            return None
        route = self._by_path.get(scope["path"])
        if route is None and scope["path"].endswith(_VARYING_END):
            route = next((each for each in self._varying if _matches(each, scope)), None)
        return route


def _matches(route: BaseRoute, scope: Scope) -> bool:
    return route.matches(scope)[0] is Match.FULL
