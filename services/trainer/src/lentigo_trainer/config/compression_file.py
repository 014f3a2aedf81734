"""Compression files: how smaller networks are made from the network of a recipe.

```toml
name = "compression"
recipe = "lentigo"        # one that ships, or a file beside this one; it has folds and fine_tuning

[fine_tuning]             # of every variant that learns; all else is as in the recipe
epochs = 4
stages = [{ side = 128, epochs = 3 }]
learning_rate = 0.2       # multiple of the recipe's rates

[variants.channels_50]
method = "channels"
share = 0.5
score = "taylor"

[variants.channels_50_int8]
method = "int8"
of = "channels_50"
rounding = "aware"
```
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, ValidationError

from lentigo_trainer.config.fine_tuning import Stage
from lentigo_trainer.config.recipe import Recipe
from lentigo_trainer.config.recipe_file import DEFAULT_RECIPE, named_recipe
from lentigo_trainer.config.tables import StrictModel
from lentigo_trainer.errors import RecipeError
from lentigo_trainer.models.registry import ARCHITECTURES

UNCOMPRESSED: Final = "uncompressed"
"""Name of the network that all variants are compared with."""

_Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
_Share = Annotated[float, Field(gt=0, lt=1)]
_Rate = Annotated[float, Field(gt=0, le=10)]


class Schedule(StrictModel):
    """How variants are fine-tuned; what it does not say is as in the recipe.

    Attributes:
        epochs: how many.
        stages: the first epochs, on smaller images.
        learning_rate: multiple of the recipe's learning rates.
        warm_up_epochs: over which the rates rise.
    """

    epochs: Annotated[int, Field(ge=1, le=1_000)] = 4
    stages: Annotated[tuple[Stage, ...], Field(strict=False)] = (Stage(side=128, epochs=3),)
    learning_rate: _Rate = 0.2
    warm_up_epochs: Annotated[float, Field(ge=0)] = 0.25


class Channels(StrictModel):
    """Structured pruning of whole channels, see `compression.structured`.

    Attributes:
        method: of compression.
        share: of the channels inside the blocks that is removed.
        score: by which they are ranked.
        learning_rate: multiple of the recipe's, in place of the schedule's.
    """

    method: Literal["channels"]
    share: _Share
    score: Literal["taylor", "scale"] = "taylor"
    learning_rate: _Rate | None = None


class Weights(StrictModel):
    """Unstructured pruning of single weights, see `compression.magnitude`.

    Attributes:
        method: of compression.
        share: of the pointwise and dense weights that end at 0.
        ramp: share of the steps over which they are cut; 0 for all at once.
        learning_rate: multiple of the recipe's, in place of the schedule's.
    """

    method: Literal["weights"]
    share: _Share
    ramp: Annotated[float, Field(ge=0, le=1)] = 0.5
    learning_rate: _Rate | None = None


class Width(StrictModel):
    """A narrower architecture, trained by the whole recipe, see `compression.narrow`.

    Attributes:
        method: of compression.
        architecture: a name from the registry.
        start: its publisher's weights, or the channels of largest norm of the wide network.
    """

    method: Literal["width"]
    architecture: str
    start: Literal["published", "widest channels"] = "published"


class Int8(StrictModel):
    """Rounding to int8.

    Attributes:
        method: of compression.
        rounding: each weight to the nearest step; by GPTQ; or with fine-tuning that knows of it.
        of: the variant that is rounded, further up in the file.
        learning_rate: multiple of the recipe's, in place of the schedule's.
    """

    method: Literal["int8"]
    rounding: Literal["plain", "gptq", "aware"]
    of: _Name = UNCOMPRESSED
    learning_rate: _Rate | None = None


Method = Annotated[Channels | Weights | Width | Int8, Field(discriminator="method")]


class CompressionFile(StrictModel):
    """What a compression file may say.

    Attributes:
        name: of its folder.
        recipe: name of a recipe that ships, or a file; a relative path starts at this file.
        fold: whose images measure the variants; no variant learns from them.
        fine_tuning: of the variants.
        variants: by name.
    """

    name: _Name
    recipe: str = DEFAULT_RECIPE
    fold: Annotated[int, Field(ge=1)] = 1
    fine_tuning: Schedule = Schedule()
    variants: Annotated[dict[_Name, Method], Field(min_length=1, max_length=100)]


@dataclass(frozen=True, slots=True)
class Compression:
    """A compression file, read and checked.

    Attributes:
        name: of its folder.
        recipe: of the network that is compressed.
        fold: see `CompressionFile`.
        schedule: of fine-tuning.
        variants: by name, in the order of the file.
    """

    name: str
    recipe: Recipe
    fold: int
    schedule: Schedule
    variants: dict[str, Channels | Weights | Width | Int8]

    def chosen(self, only: tuple[str, ...]) -> "dict[str, Channels | Weights | Width | Int8]":
        """Return some variants and those that they are made of; all, if none is named.

        Raises:
            RecipeError: there is no such variant.
        """
        wanted = set(only or self.variants)
        if unknown := wanted - set(self.variants):
            raise RecipeError(
                f"{self.name} has no variant {', '.join(sorted(unknown))}; there are "
                f"{', '.join(self.variants)}."
            )
        for name, variant in reversed(self.variants.items()):
            if name in wanted and isinstance(variant, Int8):
                wanted.add(variant.of)
        return {name: each for name, each in self.variants.items() if name in wanted}

    def chain(self, name: str) -> "dict[str, Channels | Weights | Width | Int8]":
        """Return a variant after those that it is made of, the first step first.

        Raises:
            RecipeError: there is no such variant.
        """
        variant = self.chosen((name,))[name]
        before = {}
        if isinstance(variant, Int8) and variant.of != UNCOMPRESSED:
            before = self.chain(variant.of)
        return {**before, name: variant}

    def recipe_of(self, variant: Channels | Weights | Width | Int8) -> Recipe:
        """Return the recipe by which a variant learns."""
        fine_tuning = self.recipe.fine_tuning
        if fine_tuning is None:
            return self.recipe
        # Variants learn from the labels alone, whatever taught their network.
        fine_tuning = fine_tuning.model_copy(update={"teacher_share": 0.0})
        if isinstance(variant, Width):
            return self.recipe.model_copy(
                update={"architecture": variant.architecture, "fine_tuning": fine_tuning}
            )
        rate = variant.learning_rate or self.schedule.learning_rate
        changed = fine_tuning.model_copy(
            update={
                "stages": self.schedule.stages,
                "warm_up_epochs": self.schedule.warm_up_epochs,
                "backbone_learning_rate": rate * fine_tuning.backbone_learning_rate,
                "head_learning_rate": rate * fine_tuning.head_learning_rate,
            }
        )
        return self.recipe.model_copy(
            update={"epochs": self.schedule.epochs, "fine_tuning": changed}
        )


def read_compression(path: Path) -> Compression:
    """Read a compression file and the recipe it starts from.

    Raises:
        RecipeError: a file is missing or not TOML, a key is unknown, or a value is impossible; the
            message says which.
    """
    try:
        found = CompressionFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise RecipeError(f"{path} cannot be read: {error.strerror}.") from error
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg'][:1].lower()}{fault['msg'][1:]}"
            for fault in error.errors()
        )
        raise RecipeError(f"{path} cannot be used: {faults}.") from error
    except ValueError as error:
        raise RecipeError(f"{path} is not TOML: {error}.") from error
    recipe = named_recipe(found.recipe, path.parent)
    _require_suitable(found, recipe, path)
    return Compression(found.name, recipe, found.fold, found.fine_tuning, found.variants)


def _require_suitable(found: CompressionFile, recipe: Recipe, path: Path) -> None:
    fine_tuning = recipe.fine_tuning
    if not recipe.folds or fine_tuning is None:
        raise RecipeError(
            f"{path} starts from a recipe without folds, so no images are left to measure on. Take "
            "one with `folds = 5` and a table fine_tuning."
        )
    if found.fold > recipe.folds:
        raise RecipeError(f"{path}: fold is {found.fold}, and its recipe has {recipe.folds} folds.")
    schedule = fine_tuning.model_copy(
        update={
            "stages": found.fine_tuning.stages,
            "warm_up_epochs": found.fine_tuning.warm_up_epochs,
        }
    )
    epochs = found.fine_tuning.epochs
    if fault := schedule.contradiction(epochs):
        raise RecipeError(f"{path}: fine_tuning: {fault}.")
    for length, settings in ((epochs, schedule), (recipe.epochs, fine_tuning)):
        if not settings.ends_at_full_size(length):
            raise RecipeError(
                f"{path}: the last epoch has smaller images than a network gets in use. Add epochs "
                "after the stages, to fine_tuning and to the recipe."
            )
    before = {UNCOMPRESSED}
    for name, variant in found.variants.items():
        if name in before:
            raise RecipeError(f"{path}: {name} is the name of the network itself; choose another.")
        if isinstance(variant, Int8) and variant.of not in before:
            raise RecipeError(
                f"{path}: {name} is of {variant.of}, which no variant before it is called."
            )
        if isinstance(variant, Width) and variant.architecture not in ARCHITECTURES:
            raise RecipeError(f"{path}: {name}: there is no architecture {variant.architecture}.")
        before.add(name)
