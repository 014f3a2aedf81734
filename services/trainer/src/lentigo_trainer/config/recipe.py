"""The recipe: how a network is trained, as strict and frozen values.

`Recipe` holds everything a recipe file may say; `recipe_file` reads it from TOML. There are two
ways to train. By default the layers after an architecture's freeze boundary learn from the rows of
the oversampling plan, with `Optimizer`. With a table `fine_tuning` all layers learn, as
`FineTuning` says.
"""

import hashlib
from typing import Annotated, Any, Self

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from lentigo_trainer.config.fine_tuning import FineTuning
from lentigo_trainer.config.tables import StrictModel, renamed
from lentigo_trainer.models.registry import ARCHITECTURES


class Optimizer(StrictModel):
    """Stochastic gradient descent with Nesterov momentum.

    Attributes:
        learning_rate: of the first step.
        momentum: share of the last step that is carried over.
        cooldown_epochs: the last epochs, over which the rate falls to zero in a straight line; 0
            keeps it constant to the end. A run shorter than this cools down all the way.
    """

    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.01
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    cooldown_epochs: Annotated[int, Field(ge=0)] = 2


class Recipe(StrictModel):
    """How a network is trained.

    Attributes:
        name: of the run's folder; by default the architecture's name.
        hold_out: whether to keep the hold-out and the tuning part out of training.
        folds: number of parts of the training lesions that a network each answers that never
            saw them; 0 for none. Those answers choose calibration and thresholds, and the published
            network learns from all training images.
        architecture: a name from the registry.
        epochs: passes over the training rows.
        batch_size: rows per step.
        class_target: number of images that every class but the largest is filled up to.
        fine_tuning: how to train all layers, in place of `class_target` and `optimizer`; None to
            train only the layers after the freeze boundary, from the rows of the plan.
        optimizer: how the weights are updated.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")] | None = None
    hold_out: bool = False
    folds: Annotated[int, Field(ge=0, le=20)] = 0
    architecture: str = "mobilenet"
    epochs: Annotated[int, Field(ge=1, le=1_000)] = 20
    batch_size: Annotated[int, Field(ge=2, le=4_096)] = 32
    class_target: Annotated[int, Field(ge=1, le=100_000)] = 6_000
    fine_tuning: Annotated[FineTuning | None, renamed("fine_tuning", "whole_network")] = None
    optimizer: Annotated[Optimizer, Field(validate_default=True)] = Optimizer()

    @field_validator("name")
    @classmethod
    def _name_is_free(cls, name: str | None) -> str | None:
        if name == "prepared" or name in ARCHITECTURES:
            raise PydanticCustomError(
                "name",
                "the work folder uses {name} for something else; choose another name",
                {"name": name},
            )
        return name

    @field_validator("architecture")
    @classmethod
    def _architecture_is_known(cls, name: str) -> str:
        if name not in ARCHITECTURES:
            known = ", ".join(ARCHITECTURES)
            raise PydanticCustomError(
                "architecture",
                "there is no {name}; choose one of {known}",
                {"name": name, "known": known},
            )
        return name

    @field_validator("optimizer")
    @classmethod
    def _cooldown_fits_the_run(cls, optimizer: Optimizer, info: ValidationInfo) -> Optimizer:
        epochs = info.data.get("epochs")
        used = info.data.get("fine_tuning") is None
        if used and epochs is not None and optimizer.cooldown_epochs > epochs:
            raise PydanticCustomError(
                "cooldown",
                "its cooldown_epochs, {cooldown}, must not be above epochs, {epochs}",
                {"cooldown": optimizer.cooldown_epochs, "epochs": epochs},
            )
        return optimizer

    @field_validator("fine_tuning")
    @classmethod
    def _schedule_fits_the_run(
        cls, fine_tuning: FineTuning | None, info: ValidationInfo
    ) -> FineTuning | None:
        epochs = info.data.get("epochs")
        fault = fine_tuning and epochs and fine_tuning.contradiction(epochs)
        if fault:
            raise PydanticCustomError("schedule", "{fault}", {"fault": fault})
        return fine_tuning

    @model_validator(mode="after")
    def _has_one_way_to_train(self) -> Self:
        unused = {"class_target", "optimizer"} & self.model_fields_set
        if self.fine_tuning is None or not unused:
            return self
        raise PydanticCustomError(
            "fine_tuning",
            "a recipe with fine_tuning has no {unused}; take it out",
            {"unused": " and no ".join(sorted(unused))},
        )

    @model_validator(mode="after")
    def _folds_suit_the_rest(self) -> Self:
        if self.folds == 1:
            raise PydanticCustomError("folds", "folds must be 0, or at least 2")
        if self.folds and self.hold_out:
            raise PydanticCustomError(
                "folds", "a recipe with folds needs no hold_out; take one of them out"
            )
        if self.folds and self.fine_tuning is None:
            raise PydanticCustomError("folds", "folds need a table fine_tuning")
        return self

    @model_validator(mode="after")
    def _stages_suit_the_architecture(self) -> Self:
        stages = self.fine_tuning and self.fine_tuning.stages
        if stages and not ARCHITECTURES[self.architecture].pooled:
            raise PydanticCustomError(
                "stages",
                "fine_tuning.stages need a network with average pooling, which {name} has not; "
                "take them out",
                {"name": self.architecture},
            )
        return self

    @model_serializer(mode="wrap")
    def _without_unused_keys(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out unused keys, so that the recipes of older runs are written as before."""
        values: dict[str, Any] = handler(self)
        if self.fine_tuning is None:
            del values["fine_tuning"]
        else:
            del values["class_target"], values["optimizer"]
        if not self.hold_out:
            del values["hold_out"]
        if not self.folds:
            del values["folds"]
        if self.name is None:
            del values["name"]
        return values

    def for_epochs(self, epochs: int) -> "Recipe":
        """Return a copy for another number of epochs.

        Stages and warm-up are scaled; a cooldown keeps its length, or all of a shorter run.
        """
        if self.fine_tuning:
            fine_tuning = self.fine_tuning.scaled(epochs, self.epochs)
            return self.model_copy(update={"epochs": epochs, "fine_tuning": fine_tuning})
        cooldown = min(self.optimizer.cooldown_epochs, epochs)
        optimizer = self.optimizer.model_copy(update={"cooldown_epochs": cooldown})
        return self.model_copy(update={"epochs": epochs, "optimizer": optimizer})

    def digest(self) -> str:
        """SHA-256 of the recipe's values, as hex."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()
