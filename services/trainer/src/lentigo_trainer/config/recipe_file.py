"""Recipe files: TOML on disk or in the package, read and checked before anything starts.

Lentigo ships its recipes as data of this package, in `lentigo_trainer/recipes`; the folder
`recipes` at the top of the repository links there.
"""

import tomllib
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from lentigo_trainer.config.fine_tuning import AugmentationConfig, FineTuning, Stage
from lentigo_trainer.config.recipe import Optimizer, Recipe
from lentigo_trainer.config.tables import StrictModel
from lentigo_trainer.errors import RecipeError

DEFAULT_RECIPE: Final = "lentigo"
"""Name of the default recipe, and so of its run's folder."""

_TABLES: Final[dict[str, type[StrictModel]]] = {
    "optimizer": Optimizer,
    "fine_tuning": FineTuning,
    "whole_network": FineTuning,
    "stages": Stage,
    "augmentation": AugmentationConfig,
    "variation": AugmentationConfig,
}
"""The model of each table, by all names of its key."""

_REMOVED: Final = frozenset({"restarts", "average_cycles", "average_rounds", "frequency_power"})
"""Keys of `fine_tuning` in recipes of release 0.2.0."""


def default_recipe() -> Recipe:
    """Return Lentigo's own recipe; docs/experiments.md explains how it was found."""
    text = (files("lentigo_trainer") / "recipes" / f"{DEFAULT_RECIPE}.toml").read_text("utf-8")
    return Recipe.model_validate(tomllib.loads(text))


def read_recipe(path: Path) -> Recipe:
    """Read and check a recipe.

    Raises:
        RecipeError: the file is missing or not TOML, or has an unknown key or an impossible value;
            the message names the line and what is allowed.
    """
    try:
        text = path.read_text(encoding="utf-8")
        return Recipe.model_validate(tomllib.loads(text))
    except OSError as error:
        raise RecipeError(f"The recipe {path} cannot be read: {error.strerror}.") from error
    except ValidationError as error:
        faults = "; ".join(_describe(fault, text) for fault in error.errors())
        raise RecipeError(f"The recipe {path} cannot be used: {faults}.") from error
    except ValueError as error:
        # TOML's own message names the line.
        raise RecipeError(f"The recipe {path} is not TOML: {error}.") from error


def named_recipe(name: str, folder: Path) -> Recipe:
    """Read a recipe that ships, by its name, or a file, by a path that starts at a folder.

    Raises:
        RecipeError: see `read_recipe`.
    """
    shipped = files("lentigo_trainer") / "recipes" / f"{name}.toml"
    if shipped.is_file():
        with as_file(shipped) as path:
            return read_recipe(path)
    return read_recipe(folder / name)


def _describe(fault: ErrorDetails, text: str) -> str:
    path = fault["loc"]
    line = _line_of(path, text)
    where = [f"line {line}"] if line else []
    where += [".".join(map(str, path))] if path else []
    message = fault["msg"]
    if fault["type"] == "extra_forbidden":
        inner = [_TABLES[key] for key in path[:-1] if key in _TABLES]
        known = inner[-1] if inner else Recipe
        message = f"no such key; there are {', '.join(known.model_fields)}"
        if known is FineTuning and path[-1] in _REMOVED:
            message = "it was removed, because it did not prove better; take it out"
    text_of = f"{message[0].lower()}{message[1:]}"
    return f"{', '.join(where)}: {text_of}" if where else text_of


def _line_of(path: tuple[int | str, ...], text: str) -> int | None:
    """Return the line where a key's statement begins, or that of the innermost table around it.

    The text is parsed once more for each line, up to and including it. Where such a part is TOML, a
    statement has just ended; the first part that holds the key ends with the key's statement.
    """
    lines = text.split("\n")
    found, begin = None, 1
    for number in range(1, len(lines) + 1):
        try:
            part = tomllib.loads("\n".join(lines[:number]))
        except tomllib.TOMLDecodeError:
            # The line is in the middle of an array or a string.
            continue
        depth = _depth_of(path, part)
        if depth > (found[0] if found else 0):
            found = depth, begin
        begin = number + 1
    return found and found[1]


def _depth_of(path: tuple[int | str, ...], values: object) -> int:
    """Count how many keys of a path lead to something."""
    for depth, key in enumerate(path):
        listed = values if isinstance(values, dict) else {}
        if isinstance(values, list):
            listed = dict(enumerate(values))
        if key not in listed:
            return depth
        values = listed[key]
    return len(path)
