"""`lentigo-train`: parse, build a configuration, call one function.

TensorFlow takes seconds to load, so the commands import what needs it when they run, and `--help`
answers at once.
"""

import errno
import os
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from lentigo_contract.errors import LentigoError
from lentigo_contract.labels import RESEARCH_NOTICE
from lentigo_contract.wording import pluralize
from lentigo_trainer.cli.baseline import baseline
from lentigo_trainer.cli.benchmark import benchmark
from lentigo_trainer.cli.compare import compare
from lentigo_trainer.cli.compress import compress
from lentigo_trainer.cli.duplicates import duplicates
from lentigo_trainer.cli.evaluate import evaluate
from lentigo_trainer.cli.import_ import import_
from lentigo_trainer.cli.model_card import card
from lentigo_trainer.cli.segment import segment
from lentigo_trainer.cli.sign import sign
from lentigo_trainer.cli.sweep import sweep
from lentigo_trainer.cli.training import fit, prepare, publish, run
from lentigo_trainer.errors import ReleaseRefusedError
from lentigo_trainer.system.progress import progress_for

FAILED: Final = 1
REFUSED: Final = 3
INTERRUPTED: Final = 130

app = typer.Typer(
    name="lentigo-train",
    help=(
        "Train Lentigo on HAM10000, evaluate it, and publish it for the inference service.\n\n"
        "`lentigo-train run --source FOLDER` does everything. The other commands are its steps; "
        "each keeps finished work in --work and resumes from there when you run it again.\n\n"
        f"{RESEARCH_NOTICE}"
    ),
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)


@app.command()
def fetch(
    to: Annotated[Path, typer.Option(help="Folder to download into; made if missing.")],
    server: Annotated[
        str, typer.Option(help="Address of a Dataverse that holds doi:10.7910/DVN/DBW86T.")
    ] = "https://dataverse.harvard.edu",
) -> None:
    """Download HAM10000, 3 GB, from Harvard Dataverse, and check it; resumable."""
    from lentigo_trainer.data.download import fetch_ham10000  # noqa: PLC0415 - see the module

    files = fetch_ham10000(to, progress_for(), server)
    found = pluralize(len(files), "file is", "files are")
    typer.echo(f"{found} in {to}. Next: lentigo-train run --source {to}")


app.command("import")(import_)
app.command()(prepare)
app.command()(duplicates)
app.command()(compare)
app.command()(fit)
app.command()(evaluate)
app.command()(card)
app.command()(publish)
app.command()(run)
app.command()(sign)
app.command()(benchmark)
app.command()(sweep)
app.command()(compress)
app.command()(baseline)
app.command()(segment)


def main() -> None:
    """Run the command line; every error of ours ends in one line.

    Exit codes: 0, done; 1, failed; 2, wrong usage; 3, a finished run is not published, because the
    gate speaks against it; 130, interrupted. With 2 and 3 the same command would end the same way.
    """
    try:
        app()
    except ReleaseRefusedError as error:
        _failed(str(error))
        sys.exit(REFUSED)
    except LentigoError as error:
        sys.exit(_failed(str(error)))
    except KeyboardInterrupt:
        _failed("Interrupted. Finished work is kept; run the same command to resume.")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # The reader of a pipe has gone, as `head` does; Python would complain while closing.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(errno.EPIPE)


def _failed(message: str) -> int:
    # One line, whatever the width of the terminal: a message may quote one of several lines.
    typer.echo(f"lentigo-train: {' '.join(message.split())}", err=True)
    return FAILED
