"""`lentigo-inference keys`: make, list and remove API keys.

`lentigo-inference seed`: put a first model into an empty repository.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from lentigo_inference.errors import KeyFileError
from lentigo_inference.security.api_keys import Scope, add_key, make_key, read_keys, remove_key

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse names it no other way

import argparse
from typing import TYPE_CHECKING

from lentigo_contract.repository.store import ModelStore, seed

if TYPE_CHECKING:
    pass


_VARIABLE: Final = "LENTIGO_KEY_FILE"


def add_keys_parser(commands: "Subparsers") -> None:
    """Add the command to the parser of the program."""
    keys = commands.add_parser("keys", help="make, list and remove API keys")
    actions = keys.add_subparsers(dest="action", required=True, metavar="ACTION")
    add = actions.add_parser("add", help="make a key and print it, once")
    add.add_argument("name", metavar="NAME", help="names the key in the log")
    add.add_argument(
        "--scope",
        action="append",
        required=True,
        choices=[scope.value for scope in Scope],
        help="what it may be used for; give it again for more",
    )
    remove = actions.add_parser("remove", help="remove a key; it is refused within seconds")
    remove.add_argument("name", metavar="NAME")
    listing = actions.add_parser("list", help="name the keys and their scopes")
    for action in (add, remove, listing):
        action.add_argument(
            "--file", type=Path, help=f"the key file; by default what {_VARIABLE} names"
        )


def run_keys(arguments: argparse.Namespace) -> None:
    """Do what was asked.

    Raises:
        KeyFileError: it cannot be done; the message says why.
    """
    path = arguments.file or Path(os.environ.get(_VARIABLE) or ".")
    if path == Path():
        raise KeyFileError(f"No key file is named. Give --file FILE, or set {_VARIABLE}.")
    if arguments.action == "add":
        _add(path, arguments.name, frozenset(map(Scope, arguments.scope)))
    elif arguments.action == "remove":
        remove_key(path, arguments.name)
        sys.stdout.write(f"removed {arguments.name}\n")
    else:
        for key in read_keys(path).keys:
            scopes = ",".join(sorted(key.scopes))
            sys.stdout.write(f"{key.name}\t{scopes}\t{key.id}\t{key.created.isoformat()}\n")


def _add(path: Path, name: str, scopes: frozenset[Scope]) -> None:
    try:
        record, text = make_key(name, scopes)
    except ValidationError as error:
        raise KeyFileError(
            "The name must be of letters, digits and ._-, begin with a letter or digit, and have "
            "at most 64 of them."
        ) from error
    add_key(path, record)
    sys.stderr.write("This is the key. It is shown this once and kept nowhere.\n")
    sys.stdout.write(f"{text}\n")


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
