"""What a sweep found: the record that its page is made from."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from lentigo_trainer.metrics.bootstrap import Estimate


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class VariantRecord(_Record):
    """One recipe of a sweep.

    Attributes:
        name: in the sweep.
        changes: what differs from the base, as dotted keys.
        recipe: all its values.
        state: whether it was trained to its end, left behind, or failed.
        reason: why it failed.
        epochs: how many every fold was trained.
        curves: balanced accuracy on each fold after every epoch, 0..1: [folds][epochs].
        metrics: of its out-of-fold answers, if it was trained to its end.
        differences: its metrics minus those of the base, paired by lesion.
    """

    name: str
    changes: dict[str, str]
    recipe: dict[str, object]
    state: Literal["finished", "left behind", "failed"]
    reason: str | None = None
    epochs: int
    curves: tuple[tuple[float, ...], ...]
    metrics: dict[str, Estimate] | None = None
    differences: dict[str, Estimate] | None = None


class SweepRecord(_Record):
    """A sweep that has ended.

    Attributes:
        name: of the sweep.
        dataset: digest of the prepared images.
        seed: of every training.
        limit: about how many images were used; None for all.
        code_version: of this package.
        folds: networks of each variant.
        images: that have an out-of-fold answer.
        lesions: how many lesions they show, known duplicates merged.
        rungs: epochs of the base after which variants were left behind; the last is its end.
        trained_epochs: over all variants and folds.
        variants: the base first, then in the order of the file.
    """

    name: str
    dataset: str
    seed: int
    limit: int | None
    code_version: str
    folds: int
    images: int
    lesions: int
    rungs: tuple[int, ...]
    trained_epochs: int
    variants: tuple[VariantRecord, ...]
