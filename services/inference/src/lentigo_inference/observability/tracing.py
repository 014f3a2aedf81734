"""OpenTelemetry spans of requests, sent over OTLP/HTTP, and the trace a request belongs to.

OpenTelemetry's own variables set the endpoint, headers, sampling and the rest. Without an endpoint
its SDK is not imported. Reading `traceparent` (https://www.w3.org/TR/trace-context/) needs only the
API of OpenTelemetry, which FastAPI brings with it.
"""

import http
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import Getter
from opentelemetry.trace import (
    Span,
    SpanKind,
    StatusCode,
    Tracer,
    format_trace_id,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.datastructures import Headers

from lentigo_inference import __version__
from lentigo_inference.observability.records import RequestRecord

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

_log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")

# Time for sending the remaining spans when the service stops, in seconds.
_FLUSH_S: Final = 1.0

# Requested by machines every few seconds, and of no interest.
_UNTRACED: Final = ("/v2/health/", "/metrics")


def traces_wanted(environment: Mapping[str, str]) -> bool:
    """Return whether OpenTelemetry's variables name an endpoint and do not turn traces off."""
    return (
        any(environment.get(name) for name in _ENDPOINTS)
        and environment.get("OTEL_SDK_DISABLED", "").strip().lower() != "true"
        and environment.get("OTEL_TRACES_EXPORTER", "otlp").strip().lower() != "none"
    )


@dataclass(frozen=True, slots=True)
class RequestSpan:
    """The span of a request under way.

    Attributes:
        span: the SDK's span.
        context: has that span, as the parent of further ones.
        epoch_s: added to a reading of `time.monotonic` it gives the Unix time.
    """

    span: Span
    context: Context
    epoch_s: float

    def nanoseconds(self, reading: float) -> int:
        """Return the Unix time of a reading of `time.monotonic`, in nanoseconds."""
        return int((self.epoch_s + reading) * 1e9)


class Tracing:
    """Makes spans and sends them; requests never wait for that."""

    def __init__(self, connect: "Callable[[], TracerProvider] | None" = None) -> None:
        """Prepare; `connect` makes the provider, by default from the environment."""
        self._connect = connect or _provider_from_environment
        self._provider: TracerProvider | None = None
        self._tracer: Tracer | None = None

    def open(self) -> None:
        """Import the SDK and connect; if that fails, the service runs without traces. Blocks."""
        try:
            self._provider = self._connect()
        except Exception as error:  # noqa: BLE001 - predictions matter more than traces
            _log.error("traces cannot be set up", reason=str(error))
            return
        self._tracer = self._provider.get_tracer("lentigo_inference", __version__)

    def begin(self, method: str, path: str, parent: Context) -> RequestSpan | None:
        """Start the span of a request; None for a request that is not traced.

        Args:
            method: a known one; see `known_method`.
            path: decides whether to trace. It is not kept, because it may name a patient.
            parent: the context that the caller sent.
        """
        if self._tracer is None or path.startswith(_UNTRACED):
            return None
        attributes = {"http.request.method": method}
        span = self._tracer.start_span(method, parent, SpanKind.SERVER, attributes)
        context = set_span_in_context(span, parent)
        return RequestSpan(span, context, time.time() - time.monotonic())

    def end(self, request_span: RequestSpan, name: str, status: int, record: RequestRecord) -> None:
        """End the span of a request, and add the spans of its steps.

        Args:
            request_span: what `begin` returned.
            name: method and route, such as `POST /v1/predictions`.
            status: of the response; 0 if there was none.
            record: what was recorded of the request.
        """
        span, tracer = request_span.span, self._tracer
        if tracer is not None and span.is_recording():
            span.update_name(name)
            span.set_attributes(_attributes(name, status, record))
            if not status or status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
                span.set_status(StatusCode.ERROR)
            # Images of one batch have the same steps.
            for step in dict.fromkeys(record.steps):
                began, ended = (
                    request_span.nanoseconds(step.started),
                    request_span.nanoseconds(step.ended),
                )
                child = tracer.start_span(step.name, request_span.context, start_time=began)
                if step.batch_size is not None:
                    child.set_attribute("lentigo.batch.size", step.batch_size)
                child.end(ended)
        span.end()

    def close(self) -> None:
        """Send the remaining spans, but wait only briefly, in case the collector is away."""
        provider = self._provider
        if provider is None:
            return
        # The SDK waits half a minute. Its threads are daemons, so the process may end before.
        closing = threading.Thread(target=provider.shutdown, name="lentigo-traces", daemon=True)
        closing.start()
        closing.join(_FLUSH_S)
        self._provider = self._tracer = None


def _attributes(name: str, status: int, record: RequestRecord) -> dict[str, str | int]:
    """Return the attributes of the HTTP conventions, without `url.path` and `url.query`.

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
    # Imported here, because it takes a tenth of a second and most services send no traces.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    defaults = Resource.create(
        {"service.name": "lentigo-inference", "service.version": __version__}
    )
    # In `create` our name would win over OTEL_SERVICE_NAME, so the operator's is merged after it.
    resource = defaults.merge(OTELResourceDetector().detect())
    # At exit, the SDK would wait half a minute for a collector that is away.
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


_PARENT: Final = "traceparent"


class _HeadersGetter(Getter[Headers]):
    def get(self, carrier: Headers, key: str) -> list[str] | None:
        """Return the values of a header; two parents count as none."""
        values = carrier.getlist(key)
        return values if values and (key != _PARENT or len(values) == 1) else None

    def keys(self, carrier: Headers) -> list[str]:
        """Return the names of the headers."""
        return carrier.keys()


_getter: Final = _HeadersGetter()
_propagator: Final = TraceContextTextMapPropagator()


def parent_of(headers: Headers) -> Context:
    """Return the context that the caller sent; an empty one if it is missing or malformed."""
    if _PARENT not in headers:
        return Context()
    return _propagator.extract(headers, Context(), _getter)


def trace_id_of(context: Context) -> str | None:
    """Return the id of the trace that a context belongs to, in hex; None without a trace."""
    span = get_current_span(context).get_span_context()
    return format_trace_id(span.trace_id) if span.is_valid else None
