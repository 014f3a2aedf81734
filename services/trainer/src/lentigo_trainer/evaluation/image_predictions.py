"""The prediction for every image, kept beside the metrics: what two versions are compared by.

It names the image, so a report holds these only on request: sharing metrics of patients' images
must not share their names.
"""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, model_validator

from lentigo_contract.labels import CODES, index_of
from lentigo_trainer.evaluation.images.image_sets import ImageSet
from lentigo_trainer.metrics.arrays import FloatArray, LabelArray


class ImagePrediction(BaseModel):
    """The prediction for one image.

    Attributes:
        image: its name, without suffix.
        lesion: the lesion it shows; None if unknown.
        truth: the code of its diagnosis.
        probabilities: of the seven, in label order, six digits each.
        diagnosis: the code that was decided for; None in reports of older releases, which decided
            for the most probable.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    image: str
    lesion: str | None
    truth: str
    probabilities: tuple[float, ...]
    diagnosis: str | None = None

    @model_validator(mode="after")
    def _require_known_code_and_seven_probabilities(self) -> Self:
        if not {self.truth, self.diagnosis or self.truth} <= set(CODES) or len(
            self.probabilities
        ) != len(CODES):
            raise ValueError(f"{self.image} has no known diagnosis or not {len(CODES)} numbers")
        return self


def image_predictions(
    images: ImageSet, probabilities: FloatArray, diagnoses: LabelArray
) -> tuple[ImagePrediction, ...]:
    """Pair images with their probabilities [n, 7] and diagnoses [n], in order of their names."""
    lesions: Sequence[str | None] = [None] * len(images.names)
    if images.people is not None:
        lesions = images.people["lesion_id"].tolist()
    rows = zip(images.names, lesions, images.truth, probabilities, diagnoses, strict=True)
    return tuple(
        ImagePrediction(
            image=name,
            lesion=lesion,
            truth=CODES[label],
            probabilities=tuple(float(f"{value:.6g}") for value in row),
            diagnosis=CODES[diagnosis],
        )
        for name, lesion, label, row, diagnosis in sorted(rows, key=lambda each: each[0])
    )


def truth_of(predictions: Sequence[ImagePrediction]) -> LabelArray:
    """Return the class numbers, int64 [n]."""
    return np.array([index_of(each.truth) for each in predictions], np.int64)


def probabilities_of(predictions: Sequence[ImagePrediction]) -> FloatArray:
    """Return the probabilities, float64 [n, 7]."""
    return np.array([each.probabilities for each in predictions])


def diagnoses_of(predictions: Sequence[ImagePrediction]) -> LabelArray:
    """Return the class numbers as decided, int64 [n]."""
    return np.array(
        [
            int(np.argmax(each.probabilities))
            if each.diagnosis is None
            else index_of(each.diagnosis)
            for each in predictions
        ],
        np.int64,
    )


def groups_of(predictions: Sequence[ImagePrediction]) -> NDArray[Any]:
    """Return what a bootstrap draws whole, [n]: the lesion, or the image if that is unknown."""
    return np.array([each.lesion or each.image for each in predictions])
