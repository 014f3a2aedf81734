"""`lentigo-inference seed`: put a first model into an empty repository."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lentigo_contract.repository.store import ModelStore, seed

if TYPE_CHECKING:
    from lentigo_inference.keys_command import Subparsers


def add_seed_parser(commands: "Subparsers") -> None:
    """Add the command to the parser of the program."""
    command = commands.add_parser(
        "seed",
        help="put a first model into an empty repository",
        description="Copy the newest version of SHIPPED into the model repository, if that has "
        "none. One that has any version is left as it is.",
    )
    command.add_argument(
        "shipped", metavar="SHIPPED", type=Path, help="model repository to copy from"
    )


def run_seed(arguments: argparse.Namespace, repository: Path) -> None:
    """Seed a repository, and say what was done.

    Raises:
        LentigoError: it cannot be done, and the repository is as it was; the message says why.
    """
    published = seed(ModelStore(arguments.shipped), ModelStore(repository))
    if published is None:
        sys.stdout.write(f"{repository} has a model already and is left as it is.\n")
    else:
        sys.stdout.write(f"Published version {published.version} in {published.path}.\n")
