"""What a recipe says of a network that learns as a whole."""

from typing import Annotated

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from lentigo_contract.imaging.read import MODEL_SIDE
from lentigo_trainer.recipe_table import Table

Share = Annotated[float, Field(ge=0, lt=1)]


class Stage(Table):
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


class Variation(Table):
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


class Restart(Table):
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
    variation: Variation | None = None


class WholeNetwork(Table):
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
    variation: Variation = Variation()

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

    def variation_of(self, epoch: int) -> Variation:
        """Give how the pictures of an epoch are varied; epochs count from 1."""
        before = [restart.variation for restart in self.restarts if restart.behind < epoch]
        return next((given for given in reversed(before) if given), self.variation)

    def scaled(self, share: float) -> "WholeNetwork":
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
