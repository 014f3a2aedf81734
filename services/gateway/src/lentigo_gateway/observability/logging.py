"""The log: one line for each event, as JSON or as text for a terminal.

No line has a value of a data set, neither a name nor a number of a patient, nor a UID: an instance
is named by the number of its entry, and `lentigo-gateway show` says which one that is.
"""

import logging
import sys
import traceback
import warnings
from pathlib import Path
from typing import Final

import structlog
from pydicom import config as pydicom_config

from lentigo_gateway.config import LogConfig

Log = structlog.typing.FilteringBoundLogger

# Libraries whose messages quote data sets, addresses with UIDs, or what somebody sent.
_QUOTING: Final = ("pydicom", "pynetdicom", "highdicom", "httpx", "httpcore", "pylibjpeg")
_MAX_VALUE: Final = 1_000


def bound_values(
    _logger: object, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Cut what is too long, so that nobody can fill the log with one line. For structlog."""
    for name, value in event.items():
        if isinstance(value, str) and len(value) > _MAX_VALUE:
            event[name] = value[:_MAX_VALUE] + "..."
    return event


def fault(error: Exception) -> str:
    """Return type and place of a fault of ours; its message may quote a data set."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "unknown"
    return f"Unforeseen error {type(error).__name__} at {place}; please report it."


def configure_logs(config: LogConfig) -> None:
    """Send what the gateway logs to standard error.

    This is process-wide, so it is called once, when the gateway starts.
    """
    as_json = config.format == "json" or (config.format == "auto" and not sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            bound_values,
            structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(config.level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    silence_libraries()


def silence_libraries() -> None:
    """Keep libraries from logging what they read; also before the log is configured."""
    for name in _QUOTING:
        library = logging.getLogger(name)
        library.setLevel(logging.CRITICAL + 1)
        library.propagate = False
    warnings.filterwarnings("ignore", module=r"pydicom|highdicom|pynetdicom")
    pydicom_config.settings.reading_validation_mode = pydicom_config.IGNORE


def get_log() -> Log:
    """Return the gateway's logger."""
    log: Log = structlog.get_logger()
    return log
