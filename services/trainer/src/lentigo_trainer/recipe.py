"""Recipes: what a training run is told in a TOML file, checked before anything starts."""

import hashlib
import re
import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from lentigo_contract.errors import RecipeError
from lentigo_trainer.architectures.registry import ARCHITECTURES


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Optimizer(_Strict):
    """Stochastic gradient descent with Nesterov momentum.

    Attributes:
        learning_rate: of the first step.
        momentum: share of the last step that is carried on.
        cooldown_epochs: the last epochs, over which the rate falls to zero in a straight line; 0
            keeps it constant to the end. A shorter run cools down all the way.
    """

    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.01
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    cooldown_epochs: Annotated[int, Field(ge=0)] = 2


class Recipe(_Strict):
    """How a network is trained.

    Attributes:
        architecture: a name from the registry.
        epochs: passes over all rows of the plan.
        batch_size: rows a step.
        class_target: images that every class but the largest is filled up towards.
        optimizer: how the weights move.
    """

    architecture: str = "mobilenet"
    epochs: Annotated[int, Field(ge=1, le=1_000)] = 20
    batch_size: Annotated[int, Field(ge=2, le=4_096)] = 32
    class_target: Annotated[int, Field(ge=1, le=100_000)] = 6_000
    optimizer: Annotated[Optimizer, Field(validate_default=True)] = Optimizer()

    @field_validator("architecture")
    @classmethod
    def _is_registered(cls, name: str) -> str:
        if name not in ARCHITECTURES:
            known = ", ".join(ARCHITECTURES)
            raise PydanticCustomError(
                "architecture",
                "there is no {name}; there are {known}",
                {"name": name, "known": known},
            )
        return name

    @field_validator("optimizer")
    @classmethod
    def _cools_down_within_the_run(cls, optimizer: Optimizer, info: ValidationInfo) -> Optimizer:
        epochs = info.data.get("epochs")
        if epochs is not None and optimizer.cooldown_epochs > epochs:
            raise PydanticCustomError(
                "cooldown",
                "its cooldown_epochs, {cooldown}, must not be above epochs, {epochs}",
                {"cooldown": optimizer.cooldown_epochs, "epochs": epochs},
            )
        return optimizer

    def for_epochs(self, epochs: int) -> "Recipe":
        """Give the same recipe for another number of epochs; a cooldown shrinks to fit."""
        cooldown = min(self.optimizer.cooldown_epochs, epochs)
        optimizer = self.optimizer.model_copy(update={"cooldown_epochs": cooldown})
        return self.model_copy(update={"epochs": epochs, "optimizer": optimizer})

    def digest(self) -> str:
        """SHA-256 of the recipe's values, as hex."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


def read_recipe(path: Path) -> Recipe:
    """Read and check a recipe.

    Raises:
        RecipeError: not there, not TOML, an unknown key or an impossible value; the message names
            the line and what is allowed.
    """
    try:
        text = path.read_text(encoding="utf-8")
        return Recipe.model_validate(tomllib.loads(text))
    except OSError as error:
        raise RecipeError(f"The recipe {path} cannot be read: {error.strerror}.") from error
    except ValidationError as error:
        faults = "; ".join(
            _fault(text, tuple(map(str, fault["loc"])), fault["type"], fault["msg"])
            for fault in error.errors()
        )
        raise RecipeError(f"The recipe {path} cannot be used: {faults}.") from error
    except ValueError as error:
        # TOML's own message names the line.
        raise RecipeError(f"The recipe {path} is not TOML: {error}.") from error


def _fault(text: str, place: tuple[str, ...], kind: str, message: str) -> str:
    key = ".".join(place)
    line = _line_of(text, place)
    where = key if line is None else f"line {line}, {key}"
    if kind == "extra_forbidden":
        known = Optimizer if place[0] == "optimizer" and len(place) > 1 else Recipe
        return f"{where}: no such key; there are {', '.join(known.model_fields)}"
    return f"{where}: {message[0].lower()}{message[1:]}"


def _line_of(text: str, place: tuple[str, ...]) -> int | None:
    """Find the line of a key: behind its table's heading, dotted, or in its table's own line."""
    lines = text.splitlines()
    dotted = re.compile(r"\s*" + r"\s*\.\s*".join(map(_quoted, place)) + r"\s*=")
    found = next((n for n, line in enumerate(lines) if dotted.match(line)), None)
    if found is not None and len(place) > 1:
        return found + 1
    found = None
    for part in place:
        pattern = re.compile(rf"\s*\[?\s*{_quoted(part)}\s*[\]=.]")
        behind = range(found or 0, len(lines))
        found = next((n for n in behind if pattern.match(lines[n])), found)
    return None if found is None else found + 1


def _quoted(part: str) -> str:
    return rf"[\"']?{re.escape(part)}[\"']?"
