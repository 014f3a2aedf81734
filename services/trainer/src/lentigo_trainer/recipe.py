"""Recipes: what a training run is told in a TOML file, checked before anything starts."""

import hashlib
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from lentigo_contract.errors import RecipeError
from lentigo_trainer.architectures.registry import ARCHITECTURES
from lentigo_trainer.recipe_table import Table
from lentigo_trainer.whole_network.settings import Restart, Stage, Variation, WholeNetwork


class Optimizer(Table):
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


class Recipe(Table):
    """How a network is trained.

    Attributes:
        name: of the run's folder; the architecture's without one.
        hold_out: whether the hold-out and the tuning part are kept out of training.
        architecture: a name from the registry.
        epochs: passes over all rows of the plan.
        batch_size: rows a step.
        class_target: images that every class but the largest is filled up towards.
        optimizer: how the weights move.
        whole_network: how the whole network learns, in place of `class_target` and `optimizer`;
            None to learn behind the freeze boundary from the rows of the plan.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")] | None = None
    hold_out: bool = False
    architecture: str = "mobilenet"
    epochs: Annotated[int, Field(ge=1, le=1_000)] = 20
    batch_size: Annotated[int, Field(ge=2, le=4_096)] = 32
    class_target: Annotated[int, Field(ge=1, le=100_000)] = 6_000
    optimizer: Annotated[Optimizer, Field(validate_default=True)] = Optimizer()
    whole_network: WholeNetwork | None = None

    @field_validator("name")
    @classmethod
    def _is_free(cls, name: str | None) -> str | None:
        if name == "prepared" or name in ARCHITECTURES:
            raise PydanticCustomError(
                "name",
                "{name} is the folder of something else; choose another name",
                {"name": name},
            )
        return name

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

    @model_validator(mode="after")
    def _learns_one_way(self) -> Self:
        unread = {"class_target", "optimizer"} & self.model_fields_set
        if self.whole_network is None or not unread:
            return self
        raise PydanticCustomError(
            "whole_network",
            "a recipe with whole_network has no {unread}; take it out",
            {"unread": " and no ".join(sorted(unread))},
        )

    @model_validator(mode="after")
    def _grows_only_where_sizes_may_differ(self) -> Self:
        stages = self.whole_network and self.whole_network.stages
        if stages and not ARCHITECTURES[self.architecture].pooled:
            raise PydanticCustomError(
                "stages",
                "whole_network.stages need a network with average pooling, which {name} has not; "
                "take them out",
                {"name": self.architecture},
            )
        return self

    @model_serializer(mode="wrap")
    def _without_what_says_nothing(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out keys that are not used, so that older runs' recipes are still the same."""
        values: dict[str, Any] = handler(self)
        if self.whole_network is None:
            del values["whole_network"]
        else:
            del values["class_target"], values["optimizer"]
        if not self.hold_out:
            del values["hold_out"]
        if self.name is None:
            del values["name"]
        return values

    def for_epochs(self, epochs: int) -> "Recipe":
        """Give the same recipe for another number of epochs; cooldown and stages shrink to fit."""
        cooldown = min(self.optimizer.cooldown_epochs, epochs)
        optimizer = self.optimizer.model_copy(update={"cooldown_epochs": cooldown})
        whole = self.whole_network and self.whole_network.scaled(epochs / self.epochs)
        return self.model_copy(
            update={"epochs": epochs, "optimizer": optimizer, "whole_network": whole}
        )

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


_TABLES: Final[dict[str, type[Table]]] = {
    "optimizer": Optimizer,
    "whole_network": WholeNetwork,
    "stages": Stage,
    "restarts": Restart,
    "variation": Variation,
}


def _fault(text: str, place: tuple[str, ...], kind: str, message: str) -> str:
    key = ".".join(place)
    line = _line_of(text, place)
    where = key if line is None else f"line {line}, {key}"
    if kind == "extra_forbidden":
        inner = [_TABLES[part] for part in place[:-1] if part in _TABLES]
        known = inner[-1] if inner else Recipe
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
