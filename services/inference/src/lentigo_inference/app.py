"""The application: what is wired to what, and what begins and ends with it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

from fastapi import Depends, FastAPI
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from lentigo_contract.store import ModelStore
from lentigo_inference import __version__
from lentigo_inference.access import admit
from lentigo_inference.admission import Admission
from lentigo_inference.batcher import Batcher
from lentigo_inference.decoding import DecodePool
from lentigo_inference.engine import EngineLoader
from lentigo_inference.engine_choice import engine_loader
from lentigo_inference.gatekeeper import Gatekeeper
from lentigo_inference.inference_thread import InferenceThread
from lentigo_inference.openapi import describe
from lentigo_inference.predictor import Predictor
from lentigo_inference.problems import install_problem_handlers
from lentigo_inference.rate_limit import RateLimit
from lentigo_inference.reloader import Reloader
from lentigo_inference.request_log import RequestLog
from lentigo_inference.routes import (
    batch,
    home,
    infer,
    models,
    open_inference,
    page,
    predictions,
    repository,
)
from lentigo_inference.services import LifespanState, Services
from lentigo_inference.settings import Settings
from lentigo_inference.slot import ModelSlot
from lentigo_inference.stopping import Stopping
from lentigo_inference.throughput import Throughput
from lentigo_inference.watcher import Wait, Watcher

# A load under way when the service stops is waited for so long, in seconds.
_STOP_TIMEOUT_S: Final = 10.0

# A key that was removed is refused after so long, in seconds.
_KEY_INTERVAL_S: Final = 1.0


def create_app(
    settings: Settings,
    *,
    load: EngineLoader | None = None,
    wait: Wait | None = None,
    stopping: Stopping | None = None,
) -> FastAPI:
    """Build the service.

    Args:
        settings: how it runs.
        load: loads a version; by default with the runtime that the settings name.
        wait: waits between two looks at the repository; by default by the clock.
        stopping: whoever runs the service begins it; by default nobody does.
    """
    app = FastAPI(
        title="Lentigo inference",
        version=__version__,
        lifespan=_lifespan(
            settings,
            load or engine_loader(settings.engine_threads, settings.engine),
            wait,
            stopping or Stopping(),
        ),
        middleware=_middleware(settings),
        dependencies=[Depends(admit)],
        # FastAPI's pages load their scripts from a public host, and its document blocks the loop.
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    install_problem_handlers(app)
    routed = (home, page, predictions, batch, models, open_inference, infer, repository)
    for routes in routed:
        app.include_router(routes.router)
    describe(app)
    return app


def _middleware(settings: Settings) -> list[Middleware]:
    """Give what stands around every request, the outermost first."""
    middleware = [Middleware(RequestLog)]
    if settings.cors_origins:
        middleware.append(
            Middleware(
                CORSMiddleware,
                allow_origins=settings.cors_origins,
                allow_methods=("GET", "POST"),
                allow_headers=("Authorization", "Content-Type", "X-API-Key", "X-Request-ID"),
                expose_headers=("Retry-After", "X-Request-ID"),
            )
        )
    return middleware


def _lifespan(
    settings: Settings, load: EngineLoader, wait: Wait | None, stopping: Stopping
) -> Callable[[FastAPI], AbstractAsyncContextManager[LifespanState]]:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[LifespanState]:
        gatekeeper = Gatekeeper(settings.key_file)
        store = ModelStore(settings.model_repository)
        inference = InferenceThread()
        decoding = DecodePool(settings.decode_threads, settings.image_limits())
        slot = ModelSlot(inference.retire, retry_after_s=settings.reload_interval_s)
        throughput = Throughput()
        batcher = Batcher(inference.predict, settings.batch_limits(), throughput)
        reloader = Reloader(
            store,
            slot,
            load,
            pinned=settings.model_version,
            batch_sizes=settings.batch_limits().sizes(),
        )
        watcher = Watcher(reloader.check, settings.reload_interval_s, wait)
        watcher.start()
        key_watcher = Watcher(gatekeeper.refresh, _KEY_INTERVAL_S, wait)
        key_watcher.start()
        try:
            yield {
                "services": Services(
                    settings=settings,
                    store=store,
                    slot=slot,
                    reloader=reloader,
                    predictor=Predictor(slot, decoding, batcher, settings.request_timeout_s),
                    admission=Admission(settings.max_pending, stopping, throughput.seconds_for),
                    stopping=stopping,
                    gatekeeper=gatekeeper,
                    rate_limit=RateLimit(settings.rate_limit_per_minute),
                )
            }
        finally:
            await asyncio.to_thread(watcher.stop, _STOP_TIMEOUT_S)
            await asyncio.to_thread(key_watcher.stop, _STOP_TIMEOUT_S)
            gatekeeper.close()
            slot.close()
            # Waiting on the loop would keep the end of the grace period from being noticed.
            await asyncio.to_thread(decoding.close)
            await asyncio.to_thread(inference.close)

    return lifespan
