"""Middleware between the request log and FastAPI: HEAD requests, and load shedding."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lentigo_inference.api.dependencies import presented_key
from lentigo_inference.api.problems import refusal
from lentigo_inference.errors import UnavailableError

if TYPE_CHECKING:
    from lentigo_inference.api.dependencies import AppState


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
    a known key was sent, the log names it.
    """

    def __init__(self, app: ASGIApp, predicting: Sequence[BaseRoute]) -> None:
        """Wrap an application whose lifespan yields `AppState`.

        Args:
            app: the application.
            predicting: its routes that predict; requests for other routes pass through.
        """
        self._app = app
        self._predicting = predicting

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; anything but a prediction passes through."""
        if scope["type"] == "http":
            state: AppState = scope["state"]["app_state"]
            try:
                state.admission.require_room()
            except UnavailableError as error:
                route = self._predicting_route(scope)
                if route is not None:
                    request = Request(scope)
                    scope["route"] = route
                    request.state.record.shed = True
                    request.state.record.key = state.authenticator.name_of(presented_key(request))
                    response = await refusal(request, error)
                    await response(scope, receive, send)
                    return
        await self._app(scope, receive, send)

    def _predicting_route(self, scope: Scope) -> BaseRoute | None:
        """Return the route that would predict, if one matches."""
        for route in self._predicting:
            if route.matches(scope)[0] is Match.FULL:
                return route
        return None
