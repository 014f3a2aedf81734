"""The table `fine_tuning` of a recipe: how all layers of a network are trained."""

from itertools import accumulate
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from lentigo_contract.imaging.read import MODEL_SIDE
from lentigo_trainer.config.tables import StrictModel, renamed

Share = Annotated[float, Field(ge=0, lt=1)]


class Stage(StrictModel):
    """Epochs on smaller images, which cost less (progressive resizing).

    A fully convolutional network has the same weights at every image size, and learns on small
    images most of what it needs on large ones (Touvron et al., "Fixing the Train-Test Resolution
    Discrepancy", NeurIPS 2019).

    Attributes:
        side: of the images, in pixels.
        epochs: how many.
    """

    side: Annotated[int, Field(ge=32, le=MODEL_SIDE)]
    epochs: Annotated[int, Field(ge=0)]


class AugmentationConfig(StrictModel):
    """How far an image is varied each time it is used; each value is the limit of a random draw.

    Attributes:
        rotation: degrees, in both directions.
        zoom_in: smallest side of the visible part, as a share of the image's side.
        zoom_out: largest side of the visible part, as a multiple of the image's side.
        stretch: share by which the aspect ratio may change.
        shift: share of a side.
        brightness: share of the full range that is added or subtracted.
        contrast: share by which differences from the image's mean grow or shrink.
        saturation: share by which differences from grey grow or shrink.
        tint: share by which each of red, green and blue grows or shrinks, as between cameras.
        blur: share of the fine detail that is removed.
        sharpen: multiple of the fine detail that is added.
        hue: degrees by which colours turn around the grey axis.
        gamma: brightness x becomes x to a power between 1 / (1 + gamma) and 1 + gamma.
        dark_corners: chance of a dark surround of a round field of view, as in some dermatoscopes.
        erase: chance that a rectangle of up to a fifth of the image is filled with its mean colour
            (Zhong et al., "Random Erasing Data Augmentation", AAAI 2020).
        hairs: chance of hairs drawn over it.
        ruler: chance of the ticks of a ruler along an edge.
        jpeg: chance of traces of JPEG, at a quality of 30 to 95.
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
    blur: Annotated[float, Field(ge=0, le=1), renamed("blur", "soften")] = 0.0
    sharpen: Annotated[float, Field(ge=0, le=4)] = 0.0
    hue: Annotated[float, Field(ge=0, le=180)] = 0.0
    gamma: Annotated[float, Field(ge=0, le=3)] = 0.0
    dark_corners: Annotated[float, Field(ge=0, le=1)] = 0.0
    erase: Annotated[float, Field(ge=0, le=1)] = 0.0
    hairs: Annotated[float, Field(ge=0, le=1)] = 0.0
    ruler: Annotated[float, Field(ge=0, le=1)] = 0.0
    jpeg: Annotated[float, Field(ge=0, le=1)] = 0.0


class Restart(StrictModel):
    """A warm restart: the learning rates rise again and fall along a cosine once more.

    Attributes:
        after_epoch: the last epoch before the restart.
        rate: share of the highest learning rate to restart from.
        mixup: how strongly images are blended from here on, see
            `random_augmentation.draw_weights`; 0 for not at all.
        augmentation: how images are varied from here on; None for no change.
    """

    after_epoch: Annotated[int, Field(ge=1), renamed("after_epoch", "behind")]
    rate: Annotated[float, Field(gt=0, le=1)] = 0.5
    mixup: Annotated[float, Field(ge=0, le=4)] = 0.0
    augmentation: Annotated[AugmentationConfig | None, renamed("augmentation", "variation")] = None


class FineTuning(StrictModel):
    """How all layers of a network are trained.

    Attributes:
        images_per_epoch: original images in an epoch, at most as many as there are.
        class_power: a class is drawn in proportion to its number of images to this power; 1 for
            natural frequencies, 0 for balanced classes, 0.5 for the square root.
        logit_adjustment: strength of the adjustment by how often a class is drawn; 0 for none.
        frequency_power: how much of the class frequencies is added back to the logits after
            training, as a power of the frequency; see `losses.restore_frequencies`.
        label_smoothing: share of a label that is spread over all classes.
        dropout: share of the pooled features that is dropped.
        backbone_learning_rate: highest learning rate of the backbone.
        head_learning_rate: highest learning rate of the head.
        weight_decay: of AdamW, on kernels only.
        warm_up_epochs: over which the rates rise; after them they fall along a cosine. They end
            before the first restart.
        ema_decay: decay of the moving average of the weights, which is evaluated and exported.
        bfloat16: whether a step may compute in bfloat16; it does where that is faster.
        stages: the first epochs, on smaller images; all others use full size. They end with the
            run or before.
        restarts: warm restarts of the learning rates, in rising order of their epochs, each before
            the last epoch.
        average_cycles: whether to export the mean of the networks at the end of each cycle, from
            one restart to the next; otherwise the network at the end of the last cycle.
        augmentation: how images are varied.
        extra_share: share of an epoch that the images of imported sets make up, if there are any.
            They come on top: as many images of HAM10000 are drawn as without them.
    """

    images_per_epoch: Annotated[
        int, Field(ge=2, le=1_000_000), renamed("images_per_epoch", "rows")
    ] = 7_000
    class_power: Annotated[float, Field(ge=0, le=1)] = 0.5
    logit_adjustment: Annotated[float, Field(ge=0, le=4)] = 1.0
    frequency_power: Annotated[float, Field(ge=0, le=2)] = 0.0
    label_smoothing: Share = 0.05
    dropout: Share = 0.25
    backbone_learning_rate: Annotated[
        float, Field(gt=0, le=1), renamed("backbone_learning_rate", "base_rate")
    ] = 6e-4
    head_learning_rate: Annotated[
        float, Field(gt=0, le=1), renamed("head_learning_rate", "head_rate")
    ] = 2e-3
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.05
    warm_up_epochs: Annotated[float, Field(ge=0)] = 1.0
    ema_decay: Annotated[Share, renamed("ema_decay", "average")] = 0.995
    bfloat16: bool = True
    # TOML has lists; `strict` would ask for a tuple.
    stages: Annotated[tuple[Stage, ...], Field(strict=False)] = ()
    restarts: Annotated[tuple[Restart, ...], Field(strict=False)] = ()
    average_cycles: Annotated[bool, renamed("average_cycles", "average_rounds")] = False
    augmentation: Annotated[AugmentationConfig, renamed("augmentation", "variation")] = (
        AugmentationConfig()
    )
    extra_share: Share = 0.25

    @field_validator("restarts")
    @classmethod
    def _restarts_rise(cls, restarts: tuple[Restart, ...]) -> tuple[Restart, ...]:
        epochs = [restart.after_epoch for restart in restarts]
        if epochs != sorted(set(epochs)):
            raise PydanticCustomError("restarts", "their epochs must rise from one to the next")
        return restarts

    def side_of(self, epoch: int) -> int:
        """Return the side of an epoch's images, in pixels; epochs count from 1."""
        last = 0
        for stage in self.stages:
            last += stage.epochs
            if epoch <= last:
                return stage.side
        return MODEL_SIDE

    def ends_at_full_size(self, epochs: int) -> bool:
        """Check whether the last of some epochs uses the size that an exported network gets."""
        return self.side_of(epochs) == MODEL_SIDE

    def mixup_of(self, epoch: int) -> float:
        """Return how strongly the images of an epoch are blended; epochs count from 1."""
        earlier = [restart.mixup for restart in self.restarts if restart.after_epoch < epoch]
        return earlier[-1] if earlier else 0.0

    def augmentation_of(self, epoch: int) -> AugmentationConfig:
        """Return how the images of an epoch are varied; epochs count from 1."""
        configs = [
            restart.augmentation
            for restart in self.restarts
            if restart.augmentation and restart.after_epoch < epoch
        ]
        return configs[-1] if configs else self.augmentation

    def contradiction(self, epochs: int) -> str | None:
        """Say what does not fit into a run of so many epochs, or return None."""
        staged = sum(stage.epochs for stage in self.stages)
        if staged > epochs:
            return f"its stages have {staged} epochs together, but the run has {epochs}"
        last = max((restart.after_epoch for restart in self.restarts), default=0)
        if last >= epochs:
            return f"a restart after epoch {last} comes too late for a run of {epochs} epochs"
        cycle = _first_cycle(self, epochs)
        if self.warm_up_epochs > cycle:
            ended = "the first restart" if self.restarts else "the run's end"
            return f"its warm_up_epochs, {self.warm_up_epochs:g}, go beyond {ended}, epoch {cycle}"
        return None

    def scaled(self, epochs: int, former: int) -> "FineTuning":
        """Return a copy for a run of another length.

        What counts is the epoch at which a stage ends or a restart comes, from the start of the
        run: that is scaled and rounded down. So a stage and a restart that meet still meet, and
        what comes last, as a rule the images of full size, keeps at least one epoch.

        Args:
            epochs: of the other run.
            former: epochs of the run that this table was written for.
        """
        ends = [end * epochs // former for end in accumulate(stage.epochs for stage in self.stages)]
        stages = tuple(
            stage.model_copy(update={"epochs": end - start})
            for stage, start, end in zip(self.stages, [0, *ends], ends, strict=False)
            if end > start
        )
        # Two restarts that fall on one epoch become one: the later.
        restarts = {
            after: restart.model_copy(update={"after_epoch": after})
            for restart in self.restarts
            if (after := restart.after_epoch * epochs // former)
        }
        scaled = self.model_copy(update={"stages": stages, "restarts": tuple(restarts.values())})
        warm_up = min(self.warm_up_epochs * epochs / former, float(_first_cycle(scaled, epochs)))
        return scaled.model_copy(update={"warm_up_epochs": warm_up})


def _first_cycle(fine_tuning: FineTuning, epochs: int) -> int:
    """Return the epoch at which the learning rates have fallen for the first time."""
    return min((restart.after_epoch for restart in fine_tuning.restarts), default=epochs)
