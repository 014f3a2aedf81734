"""Sweep files: recipes that differ from a base recipe in a few keys, to find the better ones.

```toml
name = "regularisation"
base = "lentigo"          # a recipe that ships, or a file beside this one
first_epochs = 2          # of every variant; then the better ones go on
reduction = 3             # one in three goes on, with three times as many epochs
budget_epochs = 150       # over all variants and folds; a sweep that needs more is refused

[variants.mixup]
fine_tuning.mixup = 0.2

[variants.more_decay]
fine_tuning.weight_decay = 0.1
```
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field, ValidationError

from lentigo_trainer.config.recipe import Recipe
from lentigo_trainer.config.recipe_file import DEFAULT_RECIPE, named_recipe
from lentigo_trainer.config.tables import StrictModel
from lentigo_trainer.errors import RecipeError

BASE: Final = "base"
"""Name of the variant that changes nothing; all others are compared with it."""

_Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class SweepFile(StrictModel):
    """What a sweep file may say.

    Attributes:
        name: of the sweep, and of its folders.
        base: name of a recipe that ships, or a file; a relative path starts at the sweep file.
        first_epochs: to which every variant is trained before the first are left behind.
        reduction: one in so many goes on, with so many times the epochs.
        budget_epochs: most epochs to train in all, over all variants and folds.
        variants: the changed keys of each, as in a recipe.
    """

    name: _Name
    base: str = DEFAULT_RECIPE
    first_epochs: Annotated[int, Field(ge=1, le=1_000)] = 1
    reduction: Annotated[int, Field(ge=2, le=10)] = 3
    budget_epochs: Annotated[int, Field(ge=1)] | None = None
    variants: Annotated[dict[_Name, dict[str, Any]], Field(min_length=1, max_length=100)]


@dataclass(frozen=True, slots=True)
class Variant:
    """A recipe of a sweep.

    Attributes:
        name: in the sweep.
        recipe: with a name of its own.
        changes: what differs from the base, as dotted keys; none for the base itself.
    """

    name: str
    recipe: Recipe
    changes: dict[str, str]


@dataclass(frozen=True, slots=True)
class Sweep:
    """A sweep file, read and checked.

    Attributes:
        name: of its folders.
        first_epochs: see `SweepFile`.
        reduction: see `SweepFile`.
        budget_epochs: see `SweepFile`.
        variants: the base first.
    """

    name: str
    first_epochs: int
    reduction: int
    budget_epochs: int | None
    variants: tuple[Variant, ...]


def read_sweep(path: Path, epochs: int | None = None) -> Sweep:
    """Read a sweep file and the recipe it starts from.

    Args:
        path: the file.
        epochs: of every recipe, in place of its own.

    Raises:
        RecipeError: a file is missing or not TOML, a key is unknown, a value is impossible, or a
            variant is none; the message says which.
    """
    try:
        found = SweepFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise RecipeError(f"The sweep {path} cannot be read: {error.strerror}.") from error
    except ValidationError as error:
        raise RecipeError(f"The sweep {path} cannot be used: {_faults(error)}.") from error
    except ValueError as error:
        raise RecipeError(f"The sweep {path} is not TOML: {error}.") from error
    if BASE in found.variants:
        raise RecipeError(
            f"The sweep {path} has a variant {BASE}; that is the name of the recipe without "
            "changes, which takes part anyway. Give it another name."
        )
    base = named_recipe(found.base, path.parent)
    if not base.folds:
        raise RecipeError(
            f"The sweep {path} starts from a recipe without folds, so its variants cannot be "
            "compared. Take one with `folds = 5` and a table fine_tuning."
        )
    variants = [
        Variant(name, _changed(base, changes, (found.name, name), path), _dotted(changes))
        for name, changes in {BASE: {}, **found.variants}.items()
    ]
    if epochs is not None:
        variants = [
            Variant(each.name, each.recipe.for_epochs(epochs), each.changes) for each in variants
        ]
    return Sweep(
        found.name, found.first_epochs, found.reduction, found.budget_epochs, tuple(variants)
    )


def _changed(
    base: Recipe, changes: Mapping[str, Any], names: tuple[str, str], path: Path
) -> Recipe:
    values = _merged(base.model_dump(mode="json"), changes) | {"name": "_".join(names)}
    try:
        recipe = Recipe.model_validate(values)
    except ValidationError as error:
        raise RecipeError(f"The variant {names[1]} of {path}: {_faults(error)}.") from error
    if recipe.folds != base.folds:
        raise RecipeError(
            f"The variant {names[1]} of {path} changes folds, so it cannot be compared image by "
            "image. Take that out."
        )
    return recipe


def _merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Replace values by changes, table by table."""
    merged = dict(values)
    for key, change in changes.items():
        inner = merged.get(key)
        if isinstance(inner, dict) and isinstance(change, dict):
            merged[key] = _merged(inner, change)
        else:
            merged[key] = change
    return merged


def _dotted(changes: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, change in changes.items():
        inner = _dotted(change, f"{prefix}{key}.") if isinstance(change, dict) else None
        flat |= {f"{prefix}{key}": str(change)} if inner is None else inner
    return flat


def _faults(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, fault['loc']))}: {fault['msg'][:1].lower()}{fault['msg'][1:]}"
        for fault in error.errors()
    )
