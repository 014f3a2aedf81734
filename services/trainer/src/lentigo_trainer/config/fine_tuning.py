"""The table `fine_tuning` of a recipe: how all layers of a network are trained."""

from itertools import accumulate
from typing import Annotated, Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from lentigo_contract.imaging.read import MODEL_SIDE
from lentigo_contract.wording import pluralize
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


class FineTuning(StrictModel):
    """How all layers of a network are trained.

    Attributes:
        images_per_epoch: original images in an epoch, at most as many as there are.
        class_power: a class is drawn in proportion to its number of images to this power; 1 for
            natural frequencies, 0 for balanced classes, 0.5 for the square root.
        logit_adjustment: strength of the adjustment by how often a class is drawn; 0 for none.
        label_smoothing: share of a label that is spread over all classes.
        dropout: share of the pooled features that is dropped.
        backbone_learning_rate: highest learning rate of the backbone.
        head_learning_rate: highest learning rate of the head.
        weight_decay: of AdamW, on kernels only.
        warm_up_epochs: over which the rates rise; after them they fall along a cosine.
        ema_decay: decay of the moving average of the weights, which is evaluated and exported.
        bfloat16: whether a step may compute in bfloat16; it does where that is faster.
        stages: the first epochs, on smaller images; all others use full size. They end with the
            run or before.
        mixup: how strongly images are blended, see `random_augmentation.draw_weights`; 0 for not at
            all.
        augmentation: how images are varied.
        extra_share: share of an epoch that the images of imported sets make up, if there are any.
            They come on top: as many images of HAM10000 are drawn as without them.
        teacher_share: share of a target that is a teacher's answer; 0 for no teacher. See
            `training.fine_tuning.distillation`.
    """

    images_per_epoch: Annotated[
        int, Field(ge=2, le=1_000_000), renamed("images_per_epoch", "rows")
    ] = 7_000
    class_power: Annotated[float, Field(ge=0, le=1)] = 0.5
    logit_adjustment: Annotated[float, Field(ge=0, le=4)] = 1.0
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
    mixup: Annotated[float, Field(ge=0, le=4)] = 0.0
    augmentation: Annotated[AugmentationConfig, renamed("augmentation", "variation")] = (
        AugmentationConfig()
    )
    extra_share: Share = 0.25
    teacher_share: Share = 0.0

    @model_serializer(mode="wrap")
    def _without_unused_keys(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what older runs did not have, so that their recipes are written as before."""
        values: dict[str, Any] = handler(self)
        if self.teacher_share == 0:
            del values["teacher_share"]
        return values

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

    def contradiction(self, epochs: int) -> str | None:
        """Say what does not fit into a run of so many epochs, or return None."""
        staged = sum(stage.epochs for stage in self.stages)
        if staged > epochs:
            return (
                f"its stages have {pluralize(staged, 'epoch')} together, but the run has {epochs}"
            )
        if self.warm_up_epochs > epochs:
            warm_up = f"{self.warm_up_epochs:g}"
            return f"its warm_up_epochs, {warm_up}, go beyond the run's end, epoch {epochs}"
        return None

    def scaled(self, epochs: int, former: int) -> "FineTuning":
        """Return a copy for a run of another length.

        What counts is the epoch at which a stage ends, from the start of the run: that is scaled
        and rounded down. So what comes last, as a rule the images of full size, keeps at least one
        epoch.

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
        warm_up = self.warm_up_epochs * epochs / former
        return self.model_copy(update={"stages": stages, "warm_up_epochs": warm_up})
