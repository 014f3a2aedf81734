"""Recipes: what a training run is told in a TOML file, checked before anything starts.

A table of a recipe: strict, frozen, and without a key that nobody reads.

What a recipe says of a network that learns as a whole.

Lentigo's own recipe, which a run follows that is told no other: `recipes/lentigo.toml`.
"""

import hashlib
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from lentigo_contract.imaging.read import MODEL_SIDE
from lentigo_trainer.errors import RecipeError
from lentigo_trainer.models.registry import ARCHITECTURES


class StrictModel(BaseModel):
    """Base of everything that is read from a recipe's TOML."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


Share = Annotated[float, Field(ge=0, lt=1)]


class Stage(StrictModel):
    """Epochs on smaller pictures, which cost less (progressive resolution).

    A fully convolutional network has the same weights whatever the side, and learns on small
    pictures most of what it needs on large ones (Touvron et al., "Fixing the Train-Test Resolution
    Discrepancy", NeurIPS 2019).

    Attributes:
        side: of the pictures, in pixels.
        epochs: how many.
    """

    side: Annotated[int, Field(ge=32, le=MODEL_SIDE)]
    epochs: Annotated[int, Field(ge=0)]


class AugmentationConfig(StrictModel):
    """How far a picture is varied each time it is seen; every value is the widest of its draw.

    Attributes:
        rotation: degrees, either way.
        zoom_in: the shown part's side is at least this share of the picture's.
        zoom_out: and at most this multiple.
        stretch: share by which width and height may differ from the picture's proportion.
        shift: share of a side.
        brightness: share of the full range added or taken.
        contrast: share by which differences from the picture's mean grow or shrink.
        saturation: share by which differences from grey grow or shrink.
        tint: share by which each of red, green and blue grows or shrinks, as between cameras.
        soften: share of the fine detail that is taken away.
        sharpen: multiple of it that is added.
    """

    rotation: Annotated[float, Field(ge=0, le=180)] = 180.0
    zoom_in: Annotated[float, Field(gt=0.1, le=1)] = 0.7
    zoom_out: Annotated[float, Field(ge=1, le=4)] = 1.2
    stretch: Share = 0.15
    shift: Share = 0.1
    brightness: Share = 0.08
    contrast: Share = 0.2
    saturation: Share = 0.2
    tint: Share = 0.08
    soften: Annotated[float, Field(ge=0, le=1)] = 0.0
    sharpen: Annotated[float, Field(ge=0, le=4)] = 0.0


class Restart(StrictModel):
    """The rates start again from a part of their highest, and fall along a cosine once more.

    Attributes:
        behind: the epoch behind which they start again.
        rate: share of the highest rate that they start from.
        mixup: how much pictures are blended from there on, see `mixup.draw_weights`; 0 not at all.
        variation: how they are varied from there on; as before if not given.
    """

    behind: Annotated[int, Field(ge=1)]
    rate: Annotated[float, Field(gt=0, le=1)] = 0.5
    mixup: Annotated[float, Field(ge=0, le=4)] = 0.0
    variation: AugmentationConfig | None = None


class FineTuning(StrictModel):
    """How a network learns from its first layer to its last.

    Attributes:
        rows: originals seen in an epoch, at most as many as there are.
        class_power: a class is drawn in proportion to its images to this power; 1 as they come,
            0 all classes alike, 0.5 by the square root.
        logit_adjustment: strength of the adjustment by how often a class is drawn; 0 for none.
        frequency_power: how much of the classes' frequencies is put back into the logits in the
            end, as a power of the frequency; see `logit_adjustment.put_back`.
        label_smoothing: share of a label that is spread over all classes.
        dropout: share of the pooled features that is dropped.
        base_rate: learning rate of the base, at its highest.
        head_rate: of the head.
        weight_decay: of AdamW, on kernels alone.
        warm_up_epochs: over which the rates rise; behind them they fall along a cosine.
        average: decay of the weights' moving average, which is what is measured and exported.
        bfloat16: whether the arithmetic of a step may be in bfloat16; it is where that is faster.
        stages: the first epochs, on smaller pictures; the others are at full size.
        restarts: epochs behind which the rates start again, in rising order.
        average_rounds: whether what is exported is the mean of what the network was at the end of
            each round, from one restart to the next; else it is as the last round left it.
        variation: how pictures are varied.
    """

    rows: Annotated[int, Field(ge=2, le=1_000_000)] = 7_000
    class_power: Annotated[float, Field(ge=0, le=1)] = 0.5
    logit_adjustment: Annotated[float, Field(ge=0, le=4)] = 1.0
    frequency_power: Annotated[float, Field(ge=0, le=2)] = 0.0
    label_smoothing: Share = 0.05
    dropout: Share = 0.25
    base_rate: Annotated[float, Field(gt=0, le=1)] = 6e-4
    head_rate: Annotated[float, Field(gt=0, le=1)] = 2e-3
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.05
    warm_up_epochs: Annotated[float, Field(ge=0)] = 1.0
    average: Share = 0.995
    bfloat16: bool = True
    # TOML has lists; `strict` would ask for a tuple.
    stages: Annotated[tuple[Stage, ...], Field(strict=False)] = ()
    restarts: Annotated[tuple[Restart, ...], Field(strict=False)] = ()
    average_rounds: bool = False
    variation: AugmentationConfig = AugmentationConfig()

    @field_validator("restarts")
    @classmethod
    def _rise(cls, restarts: tuple[Restart, ...]) -> tuple[Restart, ...]:
        places = [restart.behind for restart in restarts]
        if places != sorted(set(places)):
            raise PydanticCustomError("restarts", "their epochs must rise from one to the next")
        return restarts

    def side_of(self, epoch: int) -> int:
        """Give the side of an epoch's pictures, in pixels; epochs count from 1."""
        behind = 0
        for stage in self.stages:
            behind += stage.epochs
            if epoch <= behind:
                return stage.side
        return MODEL_SIDE

    def mixup_of(self, epoch: int) -> float:
        """Give how much the pictures of an epoch are blended; epochs count from 1."""
        before = [restart.mixup for restart in self.restarts if restart.behind < epoch]
        return before[-1] if before else 0.0

    def variation_of(self, epoch: int) -> AugmentationConfig:
        """Give how the pictures of an epoch are varied; epochs count from 1."""
        before = [restart.variation for restart in self.restarts if restart.behind < epoch]
        return next((given for given in reversed(before) if given), self.variation)

    def scaled(self, share: float) -> "FineTuning":
        """Shorten or stretch stages and restarts with the run, rounding down."""
        stages = tuple(
            stage.model_copy(update={"epochs": int(stage.epochs * share)}) for stage in self.stages
        )
        places = [(int(restart.behind * share), restart) for restart in self.restarts]
        restarts = {
            place: restart.model_copy(update={"behind": place})
            for place, restart in places
            if place
        }
        return self.model_copy(update={"stages": stages, "restarts": tuple(restarts.values())})


class Optimizer(StrictModel):
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


class Recipe(StrictModel):
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
    whole_network: FineTuning | None = None

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


_TABLES: Final[dict[str, type[StrictModel]]] = {
    "optimizer": Optimizer,
    "whole_network": FineTuning,
    "stages": Stage,
    "restarts": Restart,
    "variation": AugmentationConfig,
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


OWN_NAME: Final = "lentigo"
"""Of the recipe, and so of its run's folder."""


def own_recipe() -> Recipe:
    """Give the recipe; docs/experiments.md says how it came about."""
    return Recipe(
        name=OWN_NAME,
        hold_out=True,
        epochs=25,
        whole_network=FineTuning(
            frequency_power=0.2,
            stages=(
                Stage(side=128, epochs=6),
                Stage(side=160, epochs=5),
                Stage(side=224, epochs=4),
                Stage(side=160, epochs=4),
            ),
            restarts=(
                Restart(
                    behind=15,
                    rate=0.5,
                    mixup=0.2,
                    variation=AugmentationConfig(
                        brightness=0.1, saturation=0.25, tint=0.12, soften=0.2, sharpen=1.4
                    ),
                ),
            ),
            average_rounds=True,
        ),
    )
