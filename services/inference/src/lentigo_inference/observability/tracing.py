"""OpenTelemetry spans of requests, sent over OTLP/HTTP.

Endpoint, headers, sampling and the rest are set by OpenTelemetry's own variables. Without an
endpoint nothing of its SDK is imported.

Which trace a request belongs to, as its `traceparent` header says.

https://www.w3.org/TR/trace-context/. Costs no SDK: FastAPI brings OpenTelemetry's API with it.
"""

import http
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, set_span_in_context

from lentigo_inference import __version__
from lentigo_inference.observability.records import RequestRecord

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider


from opentelemetry.propagators.textmap import Getter
from opentelemetry.trace import format_trace_id, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.datastructures import Headers

_log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")

# What is left to send when the service stops has so long, in seconds.
_FLUSH_S: Final = 1.0

# Asked for every few seconds by machines, and of no interest.
_UNTRACED: Final = ("/v2/health/", "/metrics")


def traces_wanted(environment: Mapping[str, str]) -> bool:
    """Tell whether OpenTelemetry's variables name a place for traces and do not turn them off."""
    return (
        any(environment.get(name) for name in _ENDPOINTS)
        and environment.get("OTEL_SDK_DISABLED", "").strip().lower() != "true"
        and environment.get("OTEL_TRACES_EXPORTER", "otlp").strip().lower() != "none"
    )


@dataclass(frozen=True, slots=True)
class RequestSpan:
    """The span of a request under way.

    Attributes:
        span: of the SDK.
        context: with that span, for those below it.
        epoch_s: what to add to a reading of `time.monotonic` for the Unix time.
    """

    span: Span
    context: Context
    epoch_s: float

    def nanoseconds(self, reading: float) -> int:
        """Give the Unix time of a reading of `time.monotonic`."""
        return int((self.epoch_s + reading) * 1e9)


class Tracing:
    """Makes and sends spans; requests never wait for the sending."""

    def __init__(self, connect: "Callable[[], TracerProvider] | None" = None) -> None:
        """Prepare; `connect` makes what sends, by default as the environment says."""
        self._connect = connect or _provider_from_environment
        self._provider: TracerProvider | None = None
        self._tracer: Tracer | None = None

    def open(self) -> None:
        """Import the SDK and begin; if that fails the service goes without traces. Blocks."""
        try:
            self._provider = self._connect()
        except Exception as error:  # noqa: BLE001 - whatever it is, answers matter more
            _log.error("traces cannot be set up", reason=str(error))
            return
        self._tracer = self._provider.get_tracer("lentigo_inference", __version__)

    def begin(self, method: str, path: str, parent: Context) -> RequestSpan | None:
        """Begin the span of a request; None for one that is not traced.

        Args:
            method: one of a few.
            path: decides whether to trace, and goes no further: it may name a patient.
            parent: the caller's.
        """
        if self._tracer is None or path.startswith(_UNTRACED):
            return None
        attributes = {"http.request.method": method}
        span = self._tracer.start_span(method, parent, SpanKind.SERVER, attributes)
        context = set_span_in_context(span, parent)
        return RequestSpan(span, context, time.time() - time.monotonic())

    def end(self, begun: RequestSpan, name: str, status: int, record: RequestRecord) -> None:
        """End the span of a request, and make those of its steps.

        Args:
            begun: what `begin` gave.
            name: method and route, such as `POST /v1/predictions`.
            status: of the answer; 0 if there was none.
            record: what became of the request.
        """
        span, tracer = begun.span, self._tracer
        if tracer is not None and span.is_recording():
            span.update_name(name)
            span.set_attributes(_attributes(name, status, record))
            if not status or status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
                span.set_status(StatusCode.ERROR)
            # Images of one batch have the same steps.
            for step in dict.fromkeys(record.steps):
                began, ended = begun.nanoseconds(step.started), begun.nanoseconds(step.ended)
                child = tracer.start_span(step.name, begun.context, start_time=began)
                if step.batch_size is not None:
                    child.set_attribute("lentigo.batch.size", step.batch_size)
                child.end(ended)
        span.end()

    def close(self) -> None:
        """Send what is left, but not for long: a collector that is away must not hold the end."""
        provider = self._provider
        if provider is None:
            return
        # The SDK waits half a minute; its threads are daemons, so the process may end before.
        closing = threading.Thread(target=provider.shutdown, name="lentigo-traces", daemon=True)
        closing.start()
        closing.join(_FLUSH_S)
        self._provider = self._tracer = None


def _attributes(name: str, status: int, record: RequestRecord) -> dict[str, str | int]:
    """Give what the conventions want of a request, without `url.path` and `url.query`.

    https://opentelemetry.io/docs/specs/semconv/http/http-spans/. Those two may name a patient.
    """
    attributes: dict[str, str | int | None] = {
        "http.route": name.partition(" ")[2] or None,
        "http.response.status_code": status or None,
        "error.type": record.problem,
        "lentigo.model.version": record.model_version,
        "lentigo.images": record.images,
    }
    return {key: value for key, value in attributes.items() if value is not None}


def _provider_from_environment() -> "TracerProvider":
    # A tenth of a second and more, which only those pay who want traces.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    ours = Resource.create({"service.name": "lentigo-inference", "service.version": __version__})
    # `create` lets what it is given win over OTEL_SERVICE_NAME; the operator's word counts more.
    resource = ours.merge(OTELResourceDetector().detect())
    # At exit the SDK would wait half a minute for a collector that is away.
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


_PARENT: Final = "traceparent"


class _HeadersGetter(Getter[Headers]):
    def get(self, carrier: Headers, key: str) -> list[str] | None:
        """Give the values of a header; two parents are as good as none."""
        values = carrier.getlist(key)
        return values if values and (key != _PARENT or len(values) == 1) else None

    def keys(self, carrier: Headers) -> list[str]:
        """Give the names of the headers."""
        return carrier.keys()


_getter: Final = _HeadersGetter()
_propagator: Final = TraceContextTextMapPropagator()


def parent_of(headers: Headers) -> Context:
    """Give the context that the caller sent; an empty one if there is none, or it is malformed."""
    if _PARENT not in headers:
        return Context()
    return _propagator.extract(headers, Context(), _getter)


def trace_id_of(context: Context) -> str | None:
    """Give the trace that a context belongs to, in hex."""
    span = get_current_span(context).get_span_context()
    return format_trace_id(span.trace_id) if span.is_valid else None
