"""`lentigo-gateway`: run the gateway, look at its work list, try entries again, check its servers.

pynetdicom and highdicom take a second to load, so they are imported when they are needed.
"""

import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Annotated, Final

import typer

from lentigo_contract.errors import LentigoError
from lentigo_contract.labels import RESEARCH_NOTICE
from lentigo_gateway import __version__
from lentigo_gateway.config import GatewayConfig, load_config
from lentigo_gateway.errors import ConfigError, UnknownEntryError
from lentigo_gateway.worklist.entries import Entry
from lentigo_gateway.worklist.store import WorkList

PROGRAM: Final = "lentigo-gateway"

FAILED: Final = 1
BAD_CONFIG: Final = 2

_MOST_ENTRIES: Final = 1_000_000
_MOST_CONFIRMATIONS: Final = 1_000

app = typer.Typer(
    name=PROGRAM,
    help=(
        "Answer the dermoscopic images of a DICOM archive with Lentigo, and put the results "
        f"beside them.\n\n{RESEARCH_NOTICE}"
    ),
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

ConfigOption = Annotated[
    Path,
    typer.Option(
        "--config",
        envvar="LENTIGO_GATEWAY_CONFIG",
        help="The configuration, a TOML file.",
        metavar="FILE",
        show_default=False,
    ),
]


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit code.

    0: done; 1: the command failed, or `check` found something wrong; 2: wrong usage or
    configuration.
    """
    try:
        app(arguments, prog_name=PROGRAM)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else FAILED
    except ConfigError as error:
        return _report(str(error), BAD_CONFIG)
    except LentigoError as error:
        return _report(str(error), FAILED)
    return 0


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"{PROGRAM} {__version__}")
        raise typer.Exit


@app.callback()
def program(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Options before the command."""


@app.command()
def run(config: ConfigOption) -> None:
    """Run until SIGTERM or Ctrl+C; what is being worked on is finished first."""
    loaded = load_config(config)
    from lentigo_gateway.gateway import connected  # noqa: PLC0415 - see the module
    from lentigo_gateway.observability.logging import configure_logs, get_log  # noqa: PLC0415

    configure_logs(loaded.log)
    with connected(loaded, get_log()) as gateway:

        def stop(_number: int, _frame: FrameType | None) -> None:
            gateway.stop()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        gateway.run()


@app.command()
def status(config: ConfigOption) -> None:
    """Print how many instances are in each state, and those that are parked, with the reason."""
    worklist = _worklist(load_config(config))
    try:
        for state, number in worklist.counts().items():
            typer.echo(f"{state}\t{number}")
        for entry in worklist.latest(_MOST_ENTRIES, "parked"):
            typer.echo(f"{entry.id}\t{_time(entry.changed_at)}\t{entry.reason}")
    finally:
        worklist.close()


@app.command()
def show(
    number: Annotated[int, typer.Argument(metavar="NUMBER", help="Number of the entry.")],
    config: ConfigOption,
) -> None:
    """Print what the work list knows of one entry."""
    worklist = _worklist(load_config(config))
    try:
        for name, value in _details(worklist.get(number)):
            typer.echo(f"{name}\t{value}")
    finally:
        worklist.close()


@app.command()
def retry(
    config: ConfigOption,
    numbers: Annotated[
        list[int] | None, typer.Argument(metavar="[NUMBER]...", help="Numbers of entries.")
    ] = None,
    parked: Annotated[bool, typer.Option("--parked", help="All entries that are parked.")] = False,
) -> None:
    """Try finished entries again, with no failure counted.

    One that is done is answered again, for an archive that has lost its results.
    """
    if bool(numbers) == parked:
        raise typer.BadParameter("name entries by their numbers, or give --parked")
    worklist = _worklist(load_config(config))
    try:
        chosen = numbers or [entry.id for entry in worklist.latest(_MOST_ENTRIES, "parked")]
        for number in chosen:
            typer.echo(f"{number}\t{worklist.retry(number).state}")
        if not chosen:
            raise UnknownEntryError("Nothing is parked.")
    finally:
        worklist.close()


@app.command()
def confirmations(
    config: ConfigOption,
    numbers: Annotated[
        list[int] | None, typer.Argument(metavar="[NUMBER]...", help="Numbers to try again.")
    ] = None,
) -> None:
    """Print what was confirmed and what became of it, the latest first; or try some again."""
    worklist = _worklist(load_config(config))
    try:
        chosen = [worklist.confirmations.retry(number) for number in numbers or []]
        for each in chosen or worklist.confirmations.latest(_MOST_CONFIRMATIONS):
            diagnosis = each.confirmed.diagnosis if each.confirmed else "-"
            typer.echo(
                f"{each.id}\t{each.state}\t{each.document}\t{diagnosis}\t"
                f"{_time(each.changed_at)}\t{each.reason}"
            )
    finally:
        worklist.close()


@app.command()
def check(config: ConfigOption) -> None:
    """Read the configuration and ask every server whether it answers; nothing is changed."""
    loaded = load_config(config)
    from lentigo_gateway.gateway import check_places, connected_places  # noqa: PLC0415
    from lentigo_gateway.observability.logging import silence_libraries  # noqa: PLC0415

    silence_libraries()
    # Opened too, so that a folder that cannot be written is found now.
    _worklist(loaded).close()
    with connected_places(loaded) as places:
        wrong = check_places(places)
    servers = ["service", "archive", *(["fhir"] if loaded.fhir else [])]
    for server in servers:
        typer.echo(f"{server}\t{wrong.get(server, 'ok')}")  # type: ignore[call-overload]
    if wrong:
        raise typer.Exit(FAILED)


def _worklist(config: GatewayConfig) -> WorkList:
    return WorkList(config.worklist.folder, time.time)


def _details(entry: Entry) -> list[tuple[str, object]]:
    return [
        ("number", entry.id),
        ("state", entry.state),
        ("reason", entry.reason),
        ("study", entry.instance.study_instance_uid),
        ("series", entry.instance.series_instance_uid),
        ("instance", entry.instance.sop_instance_uid),
        ("source", entry.instance.locator.partition(":")[0]),
        ("model digest", entry.model_digest),
        ("answers", ", ".join(str(each.prediction["id"]) for each in entry.answers)),
        ("results in the archive", "yes" if entry.archived or entry.state == "done" else "no"),
        ("failures", entry.failures),
        ("found", _time(entry.found_at)),
        ("changed", _time(entry.changed_at)),
        ("due", _time(entry.due)),
    ]


def _time(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")


def _report(message: str, code: int) -> int:
    """Print an error on one line, and return the exit code."""
    sys.stderr.write(f"{PROGRAM}: {message}\n")
    return code
