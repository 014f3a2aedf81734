"""The log: one line of bounded length for each event, as JSON or as text for a terminal."""

import logging
import sys
import time
import warnings
from collections.abc import Callable
from typing import Final

import structlog

from lentigo_inference.settings import Settings

_SHARED: Final[tuple[structlog.typing.Processor, ...]] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)

# OpenTelemetry's exporter and its queue warn all the time while a collector is away, and its header
# parser warns of anything a client makes up.
_REPETITIVE: Final = (
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.sdk._shared_internal",
    "opentelemetry.trace.propagation.tracecontext",
)
_REPEAT_S: Final = 600.0
_QUOTING: Final = ("python_multipart", "opentelemetry.trace.span")


# A reader of the log needs no more of one value; the parts of a traceback that tell most are its
# beginning and its end.
_MAX_VALUE: Final = 2_000
_MAX_EXCEPTION: Final = 8_000
_EXCEPTION: Final = "exception"


def bound_values(
    _logger: object, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Cut what is too long, so that nobody can fill the log with one line. For structlog."""
    for name, value in event.items():
        limit = _MAX_EXCEPTION if name == _EXCEPTION else _MAX_VALUE
        if isinstance(value, int | float | None):
            continue
        text = value if isinstance(value, str) else repr(value)
        if len(text) > limit:
            half = limit // 2
            event[name] = f"{text[:half]} ... {len(text) - limit:,} more ... {text[-half:]}"
    return event


class ThrottleFilter(logging.Filter):
    """Lets each message of a logger pass once in a while, whatever its arguments are."""

    def __init__(self, every_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Set the seconds between two records of the same message that pass."""
        super().__init__()
        self._every_s = every_s
        self._clock = clock
        self._shown: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record passes."""
        now, text = self._clock(), str(record.msg)
        if now - self._shown.get(text, -float("inf")) < self._every_s:
            return False
        self._shown[text] = now
        return True


def configure_logs(settings: Settings) -> None:
    """Send everything that is logged, by us and by libraries, to standard error.

    This is process-wide, so it is called once, when the service starts.
    """
    as_json = settings.log_format == "json" or (
        settings.log_format == "auto" and not sys.stderr.isatty()
    )
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    # Tracebacks without the values of variables, because some of those are images.
    rendering: list[structlog.typing.Processor] = [
        structlog.processors.format_exc_info,
        bound_values,
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=list(_SHARED),
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    logging.basicConfig(handlers=[handler], level=settings.log_level.upper(), force=True)
    # It tells of every request to the issuer, even of those that succeed.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # They warn of every malformed form or `tracestate` and quote it. The service answers forms
    # itself, and a trace without a state is a trace.
    for name in _QUOTING:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # Pillow warns of damaged images with figures of each, and Python keeps all that was ever warned
    # of. The service answers with an error of its own.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    # Below an error, TensorFlow only logs about itself.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    for name in _REPETITIVE:
        logging.getLogger(name).addFilter(ThrottleFilter(_REPEAT_S))
