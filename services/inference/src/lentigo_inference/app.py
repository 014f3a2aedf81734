"""The application: how its parts are connected, and what starts and stops with it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Final

from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute
from fastapi.telemetry import TelemetryConfig
from prometheus_client import CollectorRegistry
from starlette.middleware import Middleware

from lentigo_contract.fhir.codes import code_map
from lentigo_contract.repository.store import ModelStore
from lentigo_inference import __version__
from lentigo_inference.api import models, offline, operations
from lentigo_inference.api.dependencies import AppState, Audit, LifespanState, authorize
from lentigo_inference.api.fhir import routes as fhir
from lentigo_inference.api.monitoring import routes as monitoring
from lentigo_inference.api.open_inference import repository
from lentigo_inference.api.open_inference import routes as open_inference
from lentigo_inference.api.openapi import PREDICTIONS, describe
from lentigo_inference.api.predictions import feedback
from lentigo_inference.api.predictions import routes as predictions
from lentigo_inference.api.problems import install_problem_handlers
from lentigo_inference.audit.lookup import AnswerFinder
from lentigo_inference.audit.records import Act, administration
from lentigo_inference.audit.signing import read_signer
from lentigo_inference.audit.trail import AuditTrail, log_file
from lentigo_inference.audit.writer import ChainWriter, WriterLimits
from lentigo_inference.engines.selection import EngineLoader, engine_loader
from lentigo_inference.monitoring.gauges import MonitoringGauges
from lentigo_inference.monitoring.monitor import Monitor
from lentigo_inference.observability.metrics import Metrics
from lentigo_inference.observability.records import LoadRecord
from lentigo_inference.observability.tracing import Tracing
from lentigo_inference.security.authenticator import Authenticator
from lentigo_inference.security.oidc.tokens import token_verifier
from lentigo_inference.security.rate_limit import RateLimit
from lentigo_inference.server.middleware import (
    HeadMethodMiddleware,
    HostMiddleware,
    LoadSheddingMiddleware,
    ProblemCORSMiddleware,
    ProtocolErrorMiddleware,
)
from lentigo_inference.server.request_log import RequestLogMiddleware
from lentigo_inference.serving.batcher import Batcher, BatchLimits, Throughput
from lentigo_inference.serving.decoding import DecodeLimits, DecodePool
from lentigo_inference.serving.engine_thread import EngineThread
from lentigo_inference.serving.gauges import ServingGauges
from lentigo_inference.serving.limits.admission import Admission, Shutdown
from lentigo_inference.serving.limits.upload_memory import UploadMemory
from lentigo_inference.serving.loading import load_options
from lentigo_inference.serving.model_manager import ModelManager
from lentigo_inference.serving.model_slot import ModelSlot
from lentigo_inference.serving.predictor import Predictor
from lentigo_inference.serving.watcher import Wait, Watcher
from lentigo_inference.settings import Settings
from lentigo_inference.shadow.trial import trial_of
from lentigo_inference.web import routes

# How long stopping waits for a check or load under way, in seconds.
_STOP_TIMEOUT_S: Final = 10.0

# How often the key file is checked, in seconds; a removed key is refused after that.
_KEY_INTERVAL_S: Final = 1.0

# How often feedback is read that another instance on the same folder took, in seconds.
_FEEDBACK_INTERVAL_S: Final = 10.0

# FastAPI's own spans would have paths and queries, which may name a patient.
_NO_TELEMETRY: Final[TelemetryConfig] = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "auto_configure": False,
}


_ROUTERS: Final = (
    operations.document_router,
    routes.router,
    predictions.router,
    feedback.router,
    monitoring.router,
    models.router,
    offline.router,
    open_inference.router,
    repository.router,
    fhir.router,
    operations.router,
)


def create_app(
    settings: Settings,
    *,
    load: EngineLoader | None = None,
    wait: Wait | None = None,
    shutdown: Shutdown | None = None,
    registry: CollectorRegistry | None = None,
    tracing: Tracing | None = None,
) -> FastAPI:
    """Build the service.

    Args:
        settings: how the service runs.
        load: loads a version; by default with the engine that the settings name.
        wait: waits between two checks of the repository, or of the key file; by default by the
            clock.
        shutdown: the caller begins it; by default it never begins.
        registry: holds the metrics; by default a new one.
        tracing: makes spans; by default there are none.
    """
    metrics = Metrics(CollectorRegistry() if registry is None else registry)
    app = FastAPI(
        title="Lentigo inference",
        version=__version__,
        lifespan=_lifespan(
            settings,
            load,
            wait,
            shutdown or Shutdown(),
            metrics,
            tracing,
        ),
        middleware=_middleware(settings, metrics, tracing),
        telemetry=_NO_TELEMETRY,
        dependencies=[Depends(authorize)],
        # FastAPI's pages load their scripts from a public host, and its document blocks the loop.
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    install_problem_handlers(app)
    for router in _ROUTERS:
        app.include_router(router)
    describe(app)
    return app


def _middleware(settings: Settings, metrics: Metrics, tracing: Tracing | None) -> list[Middleware]:
    """Return the middleware around every request, the outermost first."""
    middleware = [
        Middleware(RequestLogMiddleware, metrics, tracing, settings.trusted_proxies),
        Middleware(ProtocolErrorMiddleware),
        Middleware(HeadMethodMiddleware),
    ]
    open_to_pages = settings.asks_who or settings.allow_anonymous
    if settings.allowed_hosts or not open_to_pages:
        middleware.append(Middleware(HostMiddleware, settings.allowed_hosts))
    if settings.cors_origins:
        middleware.append(
            Middleware(
                ProblemCORSMiddleware,
                allow_origins=settings.cors_origins,
                allow_methods=("GET", "POST"),
                allow_headers=(
                    "Authorization",
                    "Content-Type",
                    "X-API-Key",
                    "X-Request-ID",
                    "traceparent",
                    "tracestate",
                ),
                expose_headers=("Retry-After", "X-Request-ID"),
            )
        )
    predicting = [
        route
        for router in _ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute) and PREDICTIONS in route.tags
    ]
    return [*middleware, Middleware(LoadSheddingMiddleware, predicting)]


def _audit(settings: Settings, metrics: Metrics) -> Audit | None:
    """Prepare the audit trail of the settings, if they name one; raises AuditFileError."""
    if settings.audit_dir is None or settings.audit_key is None:
        return None
    limits = WriterLimits(retention_s=settings.audit_retention_days * 86_400.0)
    trail = AuditTrail(
        ChainWriter(settings.audit_dir, read_signer(settings.audit_key), limits, observe=log_file),
        required=settings.audit == "required",
        timeout_s=settings.request_timeout_s,
        observe=metrics.audited,
    )
    return Audit(trail, AnswerFinder(settings.audit_dir))


def _on_load(metrics: Metrics, audit: Audit | None) -> Callable[[LoadRecord], None]:
    """Return what is told of every attempt to bring a version into use."""

    def observe(load: LoadRecord) -> None:
        metrics.loaded(load)
        if audit is not None:
            act: Act = "loaded" if load.succeeded else "refused"
            audit.trail.note([administration(act, load.version)])

    return observe


def _lifespan(
    settings: Settings,
    load: EngineLoader | None,
    wait: Wait | None,
    shutdown: Shutdown,
    metrics: Metrics,
    tracing: Tracing | None,
) -> Callable[[FastAPI], AbstractAsyncContextManager[LifespanState]]:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[LifespanState]:
        tokens = token_verifier(settings, metrics.issuer_asked)
        authenticator = Authenticator(settings.key_file, tokens)
        store = ModelStore(settings.model_repository)
        engine_thread = EngineThread()
        decoding = DecodePool(
            DecodeLimits(settings.decode_threads, settings.decode_memory),
            settings.image_limits(),
            metrics.decoded,
        )
        slot = ModelSlot(engine_thread.retire, retry_after_s=settings.reload_interval_s)
        audit = _audit(settings, metrics)
        throughput = Throughput()
        batch_limits = BatchLimits(
            settings.batch_max_size, settings.batch_max_delay_ms / 1000, settings.queue_size
        )
        batcher = Batcher(engine_thread.predict, batch_limits, throughput, observe=metrics.computed)
        model_manager = ModelManager(
            store,
            slot,
            load
            or engine_loader(
                settings.engine_threads, settings.engine, in_turn=engine_thread.in_turn
            ),
            options=load_options(settings, batch_limits.sizes(), engine_thread.in_turn),
            pinned=settings.model_version,
            shadow=settings.shadow_version,
            observe=_on_load(metrics, audit),
        )
        admission = Admission(settings.max_pending, shutdown, throughput.seconds_for)
        shadow = trial_of(settings, slot, admission, None if audit is None else audit.trail.note)
        predictor = Predictor(
            slot,
            decoding,
            batcher,
            settings.request_timeout_s,
            observe=metrics.predicted,
            on_work=None if shadow is None else shadow.make_way,
        )
        monitor = Monitor(settings.audit_dir)
        feedback_watcher = Watcher("feedback", monitor.follow, _FEEDBACK_INTERVAL_S, wait)
        watchers = [
            Watcher("model repository", model_manager.check, settings.reload_interval_s, wait),
            Watcher("key file", authenticator.refresh, _KEY_INTERVAL_S, wait),
        ]
        # What is registered last is closed first, and off the loop, which still has to notice the
        # end of the grace period.
        async with AsyncExitStack() as closing:

            def off_loop(close: Callable[..., object], *arguments: float) -> None:
                closing.push_async_callback(asyncio.to_thread, close, *arguments)

            if tracing is not None:
                off_loop(tracing.close)
            if audit is not None:
                # After all that writes, so that everything before is on record.
                off_loop(audit.trail.close, _STOP_TIMEOUT_S)
                audit.trail.start()
                off_loop(feedback_watcher.stop, _STOP_TIMEOUT_S)
                feedback_watcher.start()
            off_loop(engine_thread.close)
            off_loop(decoding.close)
            closing.callback(slot.close)
            if tokens is not None:
                closing.push_async_callback(tokens.issuer.stop)
                tokens.issuer.start()
            for watcher in watchers:
                off_loop(watcher.stop, _STOP_TIMEOUT_S)
                watcher.start()
            if shadow is not None:
                off_loop(shadow.close, _STOP_TIMEOUT_S)
                shadow.begin()
                closing.enter_context(metrics.including(shadow.counts))
            if tracing is not None:
                # While the watcher already loads the model.
                await asyncio.to_thread(tracing.open)
            gauges = ServingGauges(slot, model_manager, batcher, admission, shutdown)
            closing.enter_context(metrics.including(gauges))
            closing.enter_context(metrics.including(MonitoringGauges(slot, monitor)))
            yield {
                "app_state": AppState(
                    settings=settings,
                    store=store,
                    slot=slot,
                    model_manager=model_manager,
                    predictor=predictor,
                    admission=admission,
                    upload_memory=UploadMemory(settings.upload_memory),
                    shutdown=shutdown,
                    authenticator=authenticator,
                    rate_limit=RateLimit(settings.rate_limit_per_minute),
                    metrics=metrics,
                    audit=audit,
                    monitor=monitor,
                    shadow=shadow,
                    codes=code_map(settings.fhir_codes),
                )
            }

    return lifespan
