"""The answer about every image, kept beside the figures: what two versions are compared by.

An answer is the image's name, so whoever shares figures of patients' images shares it only when
asked to.
"""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, model_validator

from lentigo_contract.labels import CODES, index_of
from lentigo_trainer.answers import FloatArray, LabelArray
from lentigo_trainer.scoring.image_set import ImageSet


class KeptAnswer(BaseModel):
    """One image.

    Attributes:
        image: its name, without suffix.
        lesion: what it shows; None if not known.
        truth: the code of its diagnosis.
        probabilities: of the seven, in label order, six digits each.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    image: str
    lesion: str | None
    truth: str
    probabilities: tuple[float, ...]

    @model_validator(mode="after")
    def _is_an_answer(self) -> Self:
        if self.truth not in CODES or len(self.probabilities) != len(CODES):
            raise ValueError(f"{self.image} has no known diagnosis or not {len(CODES)} numbers")
        return self


def kept_answers(images: ImageSet, probabilities: FloatArray) -> tuple[KeptAnswer, ...]:
    """Give the answers [n, 7] about the images, in order of their names."""
    lesions: Sequence[str | None] = [None] * len(images.names)
    if images.people is not None:
        lesions = images.people["lesion_id"].tolist()
    rows = zip(images.names, lesions, images.truth, probabilities, strict=True)
    return tuple(
        KeptAnswer(
            image=name,
            lesion=lesion,
            truth=CODES[label],
            probabilities=tuple(float(f"{value:.6g}") for value in row),
        )
        for name, lesion, label, row in sorted(rows, key=lambda each: each[0])
    )


def truth_of(answers: Sequence[KeptAnswer]) -> LabelArray:
    """Class numbers, int64 [n]."""
    return np.array([index_of(each.truth) for each in answers], np.int64)


def probabilities_of(answers: Sequence[KeptAnswer]) -> FloatArray:
    """Probabilities, float64 [n, 7]."""
    return np.array([each.probabilities for each in answers])


def groups_of(answers: Sequence[KeptAnswer]) -> NDArray[Any]:
    """What a bootstrap draws whole, [n]: the lesion, or the image where that is not known."""
    return np.array([each.lesion or each.image for each in answers])
