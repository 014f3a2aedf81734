"""What is refused before it costs anything: predictions, while as many as allowed are under way.

The routes would refuse them as well. But under a load of several times what the service can answer,
finding that out behind FastAPI's layers takes the processor from the predictions that were let in
(docs/decisions/0013-refusing-costs-little.md).
"""

from typing import TYPE_CHECKING, Any, Final

from starlette.requests import Request
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

from lentigo_contract.errors import UnavailableError
from lentigo_inference.api import open_inference, predictions
from lentigo_inference.api.dependencies import presented_key
from lentigo_inference.api.problems import refusal

if TYPE_CHECKING:
    from lentigo_inference.api.dependencies import Services

_PREDICTING: Final = (predictions.router, open_inference.router)


class Overload:
    """ASGI middleware between the log and the application.

    Whoever is refused here was not asked for a key, and learns no more than that the service is
    busy or being stopped. A key that proved right before is named in the log all the same.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application whose lifespan gives `Services`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; all else, and whatever is no prediction, passes."""
        if scope["type"] == "http":
            services: Services = scope["state"]["services"]
            try:
                services.admission.require_room()
            except UnavailableError as error:
                route = _predicting_route(scope)
                if route is not None:
                    request = Request(scope)
                    scope["route"] = route
                    request.state.record.refused_at_once = True
                    request.state.record.key = services.gatekeeper.recognise(presented_key(request))
                    response = await refusal(request, error)
                    await response(scope, receive, send)
                    return
        await self._app(scope, receive, send)


def _predicting_route(scope: Scope) -> Any:  # noqa: ANN401 - starlette's routes have no common path
    """Find the route that would predict, if one would."""
    for router in _PREDICTING:
        for route in router.routes:
            if route.matches(scope)[0] is Match.FULL:
                return route
    return None
