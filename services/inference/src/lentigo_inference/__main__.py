"""`lentigo-inference`: settings, application, server."""

import argparse
import os
import sys
from typing import Final

import structlog
from pydantic import ValidationError

from lentigo_contract.labels import RESEARCH_NOTICE
from lentigo_inference import __version__
from lentigo_inference.app import create_app
from lentigo_inference.listener import ListenError, address_of, listen
from lentigo_inference.logs import configure_logs
from lentigo_inference.server import serve
from lentigo_inference.settings import Settings, environment_name, unknown_variables

_log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

_PROGRAM: Final = "lentigo-inference"
_EXIT_CANNOT_LISTEN: Final = 1
_EXIT_BAD_SETTINGS: Final = 2


def main(arguments: list[str] | None = None) -> int:
    """Run the service until it is told to stop, and give the exit code."""
    _parser().parse_args(arguments)
    try:
        settings = Settings()
    except ValidationError as error:
        return _fail(_EXIT_BAD_SETTINGS, _described(error))
    try:
        listener = listen(settings.host, settings.port)
    except ListenError as error:
        return _fail(_EXIT_CANNOT_LISTEN, str(error))
    configure_logs(settings)
    for name in unknown_variables(dict(os.environ)):
        _log.warning("unknown setting ignored", variable=name)
    _log.info(
        "listening",
        url=address_of(listener),
        version=__version__,
        model_repository=str(settings.model_repository),
        notice=RESEARCH_NOTICE,
    )
    serve(create_app(settings), settings, listener)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_PROGRAM,
        description="Serve the newest model of a repository over REST. " + RESEARCH_NOTICE,
        epilog=_settings_text(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"{_PROGRAM} {__version__}")
    return parser


def _settings_text() -> str:
    lines = ["settings, from the environment:"]
    for field, info in Settings.model_fields.items():
        default = info.get_default(call_default_factory=True, validated_data={})
        lines += [f"  {environment_name(field)} [{default}]", f"      {info.description}"]
    return "\n".join(lines)


def _described(error: ValidationError) -> str:
    return "; ".join(
        f"{environment_name('_'.join(str(part) for part in item['loc']))}: {item['msg']}"
        for item in error.errors(include_url=False)
    )


def _fail(code: int, message: str) -> int:
    sys.stderr.write(f"{_PROGRAM}: {message}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
