"""The metrics of out-of-fold answers, as a manifest holds them."""

from pydantic import BaseModel, ConfigDict

from lentigo_trainer.metrics.bootstrap import Estimate


class OutOfFoldMetrics(BaseModel):
    """What a version's sister networks reach on the images that each of them never saw.

    Attributes:
        folds: number of sister networks.
        images: how many have an answer.
        lesions: how many lesions they show, known duplicates merged.
        metrics: those of `cross_validation.MEASURED`, with intervals by lesion.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    folds: int
    images: int
    lesions: int
    metrics: dict[str, Estimate]
