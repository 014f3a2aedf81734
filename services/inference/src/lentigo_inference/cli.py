"""`lentigo-inference`: serve, score archives, make keys, read the trail, compare, fetch versions.

FastAPI takes a second to load, so it is imported when the service starts, and `--help` answers at
once.
"""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import typer
from pydantic import ValidationError

from lentigo_contract.errors import LentigoError
from lentigo_contract.labels import RESEARCH_NOTICE
from lentigo_contract.repository.store import ModelStore, seed
from lentigo_inference import __version__
from lentigo_inference.audit.commands import commands as audit_commands
from lentigo_inference.errors import KeyFileError, SettingsError
from lentigo_inference.scoring.commands import score_command
from lentigo_inference.security.api_keys import (
    KeyLimits,
    Scope,
    add_key,
    make_key,
    read_keys,
    remove_key,
)
from lentigo_inference.settings import Settings, environment_name, load_settings
from lentigo_inference.shadow.commands import compare_command

PROGRAM: Final = "lentigo-inference"

FAILED: Final = 1
BAD_SETTINGS: Final = 2

app = typer.Typer(
    name=PROGRAM,
    help=(
        "Serve the newest model of a repository over REST.\n\n"
        "Without a command, the service starts and runs until it is stopped with SIGTERM or "
        f"Ctrl+C.\n\n{RESEARCH_NOTICE}"
    ),
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
keys = typer.Typer(help="Make, list and remove API keys.", rich_markup_mode=None)
app.add_typer(keys, name="keys")
app.add_typer(audit_commands, name="audit")
app.command("compare")(compare_command)
app.command("score")(score_command)

FileOption = Annotated[
    Path | None,
    typer.Option(
        "--file",
        envvar="LENTIGO_KEY_FILE",
        help="The key file.",
        metavar="FILE",
        show_default=False,
    ),
]


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit code.

    0: done; 1: the command failed or the address cannot be listened on; 2: wrong usage or settings;
    3: `audit verify` found that something is wrong.
    """
    # Set here and not above: the defaults of some settings depend on the machine.
    app.info.epilog = _settings_help()
    try:
        app(arguments, prog_name=PROGRAM)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else FAILED
    except SettingsError as error:
        return _report(str(error), BAD_SETTINGS)
    except LentigoError as error:
        return _report(str(error), FAILED)
    return 0


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"{PROGRAM} {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def serve(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001 - its callback prints and exits
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Start the service, unless a command follows."""
    if context.invoked_subcommand is not None:
        return
    settings = load_settings()
    from lentigo_inference.server.serve import ListenError  # noqa: PLC0415 - see the module
    from lentigo_inference.startup import UnsafeStartError, run_service  # noqa: PLC0415

    try:
        run_service(settings)
    except ListenError as error:
        raise typer.Exit(_report(str(error), FAILED)) from error
    except UnsafeStartError as error:
        raise typer.Exit(_report(str(error), BAD_SETTINGS)) from error


@keys.command("add")
def add_key_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the key in the log.")],
    scope: Annotated[
        list[Scope],
        typer.Option(help="What the key may be used for. Repeat it for several scopes."),
    ],
    days: Annotated[
        int | None,
        typer.Option(
            min=1, max=36_525, help="Days until it expires.", metavar="N", show_default="never"
        ),
    ] = None,
    rate_limit: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=1_000_000,
            help="Requests a minute, instead of LENTIGO_RATE_LIMIT_PER_MINUTE; 0 is no limit.",
            metavar="N",
            show_default=False,
        ),
    ] = None,
    max_pending: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=65_536,
            help="Predictions under way at the same time, within its share of all.",
            metavar="N",
            show_default=False,
        ),
    ] = None,
    file: FileOption = None,
) -> None:
    """Make a key and print it, once."""
    path = _require_file(file)
    limits = KeyLimits(
        expires=None if days is None else _in_days(days),
        rate_limit_per_minute=rate_limit,
        max_pending=max_pending,
    )
    try:
        record, key = make_key(name, frozenset(scope), limits)
    except ValidationError as error:
        raise KeyFileError(
            "The name may have letters, digits and ._-, must begin with a letter or digit, and may "
            "be at most 64 characters long."
        ) from error
    add_key(path, record)
    typer.echo("This is the key. It is shown only once and is not stored anywhere.", err=True)
    typer.echo(key)


@keys.command("remove")
def remove_key_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the key.")],
    file: FileOption = None,
) -> None:
    """Remove a key. A running service refuses it within seconds."""
    remove_key(_require_file(file), name)
    typer.echo(f"removed {name}")


@keys.command("list")
def list_keys(file: FileOption = None) -> None:
    """List the keys, their columns separated by tabs.

    Name, scopes, id, date of creation, expiry, requests a minute, predictions under way; - is none.
    """
    for key in read_keys(_require_file(file)).keys:
        limits = (key.rate_limit_per_minute, key.max_pending)
        columns = (
            key.name,
            ",".join(sorted(key.scopes)),
            key.id,
            key.created.isoformat(),
            "-" if key.expires is None else key.expires.isoformat(),
            *("-" if limit is None else str(limit) for limit in limits),
        )
        typer.echo("\t".join(columns))


def _in_days(days: int) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)


@app.command("seed")
def seed_repository(
    shipped: Annotated[
        Path, typer.Argument(metavar="SHIPPED", help="Model repository to copy from.")
    ],
) -> None:
    """Copy the newest version of SHIPPED into an empty model repository.

    A repository that already has a version is left as it is.
    """
    repository = load_settings().model_repository
    published = seed(ModelStore(shipped), ModelStore(repository))
    if published is None:
        typer.echo(f"{repository} has a model already and is left as it is.")
    else:
        typer.echo(f"Published version {published.version} in {published.path}.")


@app.command("fetch")
def fetch_version_command(
    address: Annotated[
        str, typer.Argument(metavar="ADDRESS", help="Of a tar archive of one version, or .tar.gz.")
    ],
    max_bytes: Annotated[
        int,
        typer.Option(min=2**20, max=2**40, help="Largest archive, and content of it.", metavar="N"),
    ] = 512 * 2**20,
    timeout_s: Annotated[
        float, typer.Option(min=1, max=86_400, help="Seconds for the whole.", metavar="S")
    ] = 600,
) -> None:
    """Fetch a signed version into the model repository, under its own number.

    It must be signed with a key of LENTIGO_MODEL_KEY. A version that is there already is left as
    it is, so this can run before every start.
    """
    settings = load_settings()
    from lentigo_inference.model_fetch import FetchLimits, fetch_version  # noqa: PLC0415
    from lentigo_inference.security.model_signature import ModelKeys  # noqa: PLC0415

    if settings.model_key is None:
        raise typer.Exit(
            _report("Set LENTIGO_MODEL_KEY: what is fetched must be signed.", BAD_SETTINGS)
        )
    fetched = fetch_version(
        address,
        ModelStore(settings.model_repository),
        ModelKeys(settings.model_key),
        FetchLimits(max_bytes=max_bytes, timeout_s=timeout_s),
    )
    typer.echo(f"Version {fetched.version} is in {fetched.path}; its signature is good.")


def _require_file(file: Path | None) -> Path:
    if file is None or file == Path():
        raise KeyFileError("No key file is named. Use --file FILE, or set LENTIGO_KEY_FILE.")
    return file


def _settings_help() -> str:
    """Return a paragraph for every setting, for the end of `--help`."""
    lines = ["\b", "Settings, from the environment:"]
    for field, info in Settings.model_fields.items():
        default = info.get_default(call_default_factory=True, validated_data={})
        lines += [f"  {environment_name(field)} [{default}]", f"      {info.description}"]
    return "\n".join(lines)


def _report(message: str, code: int) -> int:
    """Print an error on one line, and return the exit code."""
    sys.stderr.write(f"{PROGRAM}: {message}\n")
    return code
