"""`lentigo-inference`: settings, application, server."""

import argparse
import ipaddress
import os
import socket
import sys
from collections.abc import Callable
from typing import Final

import structlog
from prometheus_client import disable_created_metrics
from pydantic import ValidationError

from lentigo_contract.errors import LentigoError
from lentigo_contract.labels import RESEARCH_NOTICE
from lentigo_contract.system.resources import require_memory
from lentigo_inference import __version__
from lentigo_inference.app import create_app
from lentigo_inference.cli import add_keys_parser, add_seed_parser, run_keys, run_seed
from lentigo_inference.observability.logging import configure_logs
from lentigo_inference.observability.tracing import Tracing, traces_wanted
from lentigo_inference.security.api_keys import read_keys
from lentigo_inference.server.serve import ListenError, address_of, listen, serve
from lentigo_inference.serving.admission import Stopping
from lentigo_inference.settings import Settings, environment_name, unknown_variables

_log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

_PROGRAM: Final = "lentigo-inference"
_EXIT_CANNOT_LISTEN: Final = 1
_EXIT_BAD_SETTINGS: Final = 2
_EXIT_COMMAND: Final = 1

# Bytes that the service takes with LiteRT and one version before it has answered anybody.
_NEEDED_MEMORY: Final = 256 * 2**20


def main(arguments: list[str] | None = None) -> int:
    """Run the service until it is told to stop, and give the exit code."""
    parsed = _parser().parse_args(arguments)
    if parsed.command == "keys":
        return _command(lambda: run_keys(parsed))
    try:
        settings = Settings()
    except ValidationError as error:
        return _fail(_EXIT_BAD_SETTINGS, _described(error))
    if parsed.command == "seed":
        return _command(lambda: run_seed(parsed, settings.model_repository))
    try:
        listener = listen(settings.host, settings.port)
    except ListenError as error:
        return _fail(_EXIT_CANNOT_LISTEN, str(error))
    refused = _refusal(settings, listener)
    if refused:
        listener.close()
        return _fail(_EXIT_BAD_SETTINGS, refused)
    configure_logs(settings)
    for name in unknown_variables(dict(os.environ)):
        _log.warning("unknown setting ignored", variable=name)
    _log.info(
        "listening",
        url=address_of(listener),
        version=__version__,
        model_repository=str(settings.model_repository),
        access=_access(settings),
        notice=RESEARCH_NOTICE,
    )
    # Process-wide, as the log is: when a series began, which nobody asks and every scrape pays for.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    stopping = Stopping()
    tracing = Tracing() if traces_wanted(os.environ) else None
    app = create_app(settings, stopping=stopping, tracing=tracing)
    serve(app, settings, listener, stopping)
    return 0


def _command(run: Callable[[], None]) -> int:
    try:
        run()
    except LentigoError as error:
        return _fail(_EXIT_COMMAND, str(error))
    return 0


def _refusal(settings: Settings, listener: socket.socket) -> str | None:
    """Say why the service must not start: too little memory, or no keys where all can ask."""
    try:
        require_memory(_NEEDED_MEMORY, "The service")
        if settings.key_file is not None:
            read_keys(settings.key_file)
            return None
    except LentigoError as error:
        return str(error)
    listens_on = str(listener.getsockname()[0]).partition("%")[0]
    address = settings.published_address or ipaddress.ip_address(listens_on)
    if settings.allow_anonymous or address.is_loopback:
        return None
    return (
        f"without API keys it listens on loopback alone, and {address} is not. Make a key with "
        "`lentigo-inference keys add NAME --scope predict --file FILE` and set "
        "LENTIGO_KEY_FILE=FILE, or set LENTIGO_ALLOW_ANONYMOUS=true to serve whoever asks."
    )


def _access(settings: Settings) -> str:
    if settings.key_file is not None:
        return "by API key"
    if settings.allow_anonymous:
        return "anyone, without a key (LENTIGO_ALLOW_ANONYMOUS)"
    return "anyone on this machine: there is no key file, so loopback alone"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_PROGRAM,
        description="Serve the newest model of a repository over REST. " + RESEARCH_NOTICE,
        epilog=_settings_text(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"{_PROGRAM} {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    add_keys_parser(commands)
    add_seed_parser(commands)
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
