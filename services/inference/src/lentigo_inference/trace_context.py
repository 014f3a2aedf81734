"""Which trace a request belongs to, as its `traceparent` header says.

https://www.w3.org/TR/trace-context/. Costs no SDK: FastAPI brings OpenTelemetry's API with it.
"""

from typing import Final

from opentelemetry.context import Context
from opentelemetry.propagators.textmap import Getter
from opentelemetry.trace import format_trace_id, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.datastructures import Headers

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
