"""The real application, spoken to over HTTP in this process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import httpx
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from lentigo_inference.api.dependencies import AppState, LifespanState
from lentigo_inference.app import create_app
from lentigo_inference.engines.selection import EngineLoader
from lentigo_inference.observability.tracing import Tracing
from lentigo_inference.settings import Settings
from tests.fakes import jpeg_bytes
from tests.inference.loop_watch import watched_loop
from tests.models import load_plain

PREDICTIONS = "/v1/predictions"


@dataclass(frozen=True)
class Running:
    """A running service: its client, and its inside for those tests that must reach in."""

    client: httpx.AsyncClient
    state: AppState
    app: FastAPI

    async def look(self) -> None:
        """Have the repository looked at, as the clock would."""
        await asyncio.to_thread(self.state.model_manager.check)

    async def predict(
        self,
        data: bytes | None = None,
        headers: dict[str, str] | None = None,
        **parameters: str,
    ) -> httpx.Response:
        """Send an image, by default a nevus, as the raw body."""
        return await self.client.post(
            PREDICTIONS,
            content=jpeg_bytes() if data is None else data,
            headers={"Content-Type": "application/octet-stream", **(headers or {})},
            params=parameters,
        )


@asynccontextmanager
async def running(
    settings: Settings, load: EngineLoader | None = load_plain, tracing: Tracing | None = None
) -> AsyncIterator[Running]:
    """Run the service; the repository is looked at once, and then when the test says so.

    `load=None` takes the real runtime.
    """
    app = create_app(settings, load=load, wait=lambda _seconds: True, tracing=tracing)
    with watched_loop():
        async with app.router.lifespan_context(app) as state:
            lifespan_state = cast("LifespanState", state)
            transport = httpx.ASGITransport(_with_state(app, lifespan_state))
            async with httpx.AsyncClient(transport=transport, base_url="http://lentigo") as client:
                service = Running(client, lifespan_state["app_state"], app)
                await service.look()
                yield service


def _with_state(app: ASGIApp, state: LifespanState) -> ASGIApp:
    """Hand every request the lifespan's state, as a server does and httpx does not."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "state": dict(state)}, receive, send)

    return serve


def problem_of(response: httpx.Response) -> dict[str, Any]:
    """Give the problem document of an answer, checked."""
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert set(problem) == {"type", "title", "status", "detail", "instance", "error"}
    assert problem["status"] == response.status_code
    assert problem["error"] == problem["detail"]
    assert problem["instance"].endswith(response.headers["x-request-id"])
    assert "Traceback" not in response.text
    return problem
