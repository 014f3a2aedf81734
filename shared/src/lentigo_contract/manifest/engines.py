"""How far a version's other engines agree with its SavedModel, and which may stand in for it.

The golden answers: a version's predictions, made when it was exported, for images that code can
draw again.

A reader draws the same images, runs the version on them and compares, so that a runtime which
computes something else than the trainer measured is found out before it answers anyone.
"""

import hashlib
from dataclasses import dataclass
from typing import Annotated, Final, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from lentigo_contract.imaging.read import MODEL_SIDE
from lentigo_contract.labels import CODES
from lentigo_contract.manifest.fields import Count, Fraction, Record

EngineName = Literal["savedmodel", "litert", "litert-int8"]
"""A way to run a version: `saved_model.pb`, `litert/float32.tflite` or `litert/int8.tflite`."""

LITERT_FILES: Final[dict[EngineName, str]] = {
    "litert": "litert/float32.tflite",
    "litert-int8": "litert/int8.tflite",
}
"""Where a version keeps its LiteRT models, by the engine that runs them."""

MAX_BALANCED_ACCURACY_LOSS: Final = 0.005
MIN_EQUAL_DIAGNOSES: Final = 0.99
MIN_EQUAL_REFERRALS: Final = 0.995


class EngineAgreement(Record):
    """An engine beside the SavedModel, on the images outside training.

    Attributes:
        images: how many images were compared.
        accuracy: share of right diagnoses by this engine.
        balanced_accuracy: mean of its recalls over the classes that have images.
        balanced_accuracy_change: that figure minus the SavedModel's, -1 to 1.
        largest_difference: of any of the probabilities, in absolute value.
        mean_difference: over all images and classes, in absolute value.
        equal_diagnoses: share of the images on which both name the same diagnosis.
        equal_referrals: share of the images that both refer, or both do not, by the probability of
            malignancy; None in versions up to 3, which did not compare this.
    """

    images: Count
    accuracy: Fraction
    balanced_accuracy: Fraction
    balanced_accuracy_change: Annotated[float, Field(ge=-1, le=1)]
    largest_difference: Fraction
    mean_difference: Fraction
    equal_diagnoses: Fraction
    equal_referrals: Fraction | None = None

    def shortfall(self) -> str | None:
        """Return why this engine may not replace the SavedModel by default, or None if it may."""
        if self.images == 0:
            return "it was compared on no image"
        if self.balanced_accuracy_change < -MAX_BALANCED_ACCURACY_LOSS:
            return (
                f"it lowers balanced accuracy by {-self.balanced_accuracy_change:.4f}, more than "
                f"{MAX_BALANCED_ACCURACY_LOSS}"
            )
        if self.equal_diagnoses < MIN_EQUAL_DIAGNOSES:
            return (
                f"it names the same diagnosis on {self.equal_diagnoses:.2%} of the images, less "
                f"than {MIN_EQUAL_DIAGNOSES:.0%}"
            )
        if self.equal_referrals is not None and self.equal_referrals < MIN_EQUAL_REFERRALS:
            return (
                f"its referral is the same on {self.equal_referrals:.2%} of the images, less than "
                f"{MIN_EQUAL_REFERRALS:.1%}"
            )
        return None


GOLDEN_SEED: Final = 1
GOLDEN_IMAGES: Final = 3

# A reader runs every one of them at each load, and draws and keeps them all.
MAX_GOLDEN_IMAGES: Final = 32


@dataclass(frozen=True, slots=True)
class GoldenTolerance:
    """How far an engine on another machine may be off from the golden answers.

    Attributes:
        probability: largest difference of a probability.
        log_probability: largest difference of its natural logarithm. The probabilities of a
            confident answer hardly move where their logarithms do.
        unlikeness: largest difference of an unlikeness, as a part of the largest one on record.
    """

    probability: float
    log_probability: float
    unlikeness: float


GOLDEN_TOLERANCES: Final[dict[EngineName, GoldenTolerance]] = {
    # Another processor adds up in another order. The two runtimes differ by less than 1e-6.
    "savedmodel": GoldenTolerance(1e-4, 1e-3, 1e-2),
    "litert": GoldenTolerance(1e-4, 1e-3, 1e-2),
    # Another processor's kernels may round a half the other way, and steps of int8 are coarse;
    # docs/decisions/0028-golden-answers-of-int8.md has what was measured.
    "litert-int8": GoldenTolerance(0.02, 0.15, 0.1),
}
"""What another machine may be off by, whatever a manifest allows."""

LEAST_COMPARED: Final = 1e-3
"""Probabilities below it, and all unlikenesses together, count as this much when compared."""

_Row = Annotated[
    tuple[Fraction, ...], Field(strict=False, min_length=len(CODES), max_length=len(CODES))
]
_Distance = Annotated[float, Field(ge=0)]


class GoldenAnswer(Record):
    """One engine's predictions for the golden images.

    The tolerances are what another machine may be off by, see `GoldenTolerance`.

    Attributes:
        probabilities: a row of seven for each image, in the order of the labels.
        tolerance: of a probability.
        log_tolerance: of its logarithm; None in versions up to 3.
        unlikeness: of each image; None in versions up to 3, and without this output.
        unlikeness_tolerance: relative; None in versions up to 3.
    """

    probabilities: Annotated[
        tuple[_Row, ...], Field(strict=False, min_length=1, max_length=MAX_GOLDEN_IMAGES)
    ]
    tolerance: Fraction
    log_tolerance: _Distance | None = None
    unlikeness: (
        Annotated[
            tuple[_Distance, ...], Field(strict=False, min_length=1, max_length=MAX_GOLDEN_IMAGES)
        ]
        | None
    ) = None
    unlikeness_tolerance: _Distance | None = None

    def allowed(self, engine: EngineName) -> GoldenTolerance:
        """Return the tolerances on record, or those of the contract where they are smaller."""
        most = GOLDEN_TOLERANCES[engine]
        log, unlikeness = self.log_tolerance, self.unlikeness_tolerance
        return GoldenTolerance(
            min(self.tolerance, most.probability),
            most.log_probability if log is None else min(log, most.log_probability),
            most.unlikeness if unlikeness is None else min(unlikeness, most.unlikeness),
        )


class Golden(Record):
    """The golden answers of a version, by engine, to `golden_images(seed, n)`."""

    seed: Count
    answers: dict[EngineName, GoldenAnswer]


def golden_images(seed: int, count: int) -> npt.NDArray[np.uint8]:
    """Draw images with integer arithmetic only, so that they are the same on every machine.

    Image i is made from the bytes b of SHA-256 of the text "lentigo golden <seed> <i>": skin of
    the colour 180 + b[0..2] % 50, on it a disc of the colour 40 + b[3..5] % 100 about the centre
    (72 + b[6] % 80, 72 + b[7] % 80) with the radius 30 + b[8] % 60, and over both, at row y and
    column x, the grain (b[9] * y + b[10] * x + x * y) % 24 - 12.

    Returns:
        uint8 [count, 224, 224, 3] RGB.
    """
    y, x = np.mgrid[0:MODEL_SIDE, 0:MODEL_SIDE]
    images = np.empty((count, MODEL_SIDE, MODEL_SIDE, 3), np.uint8)
    for place in range(count):
        drawn = hashlib.sha256(f"lentigo golden {seed} {place}".encode()).digest()
        b = np.frombuffer(drawn, np.uint8).astype(np.int64)
        inside = (y - 72 - b[6] % 80) ** 2 + (x - 72 - b[7] % 80) ** 2 <= (30 + b[8] % 60) ** 2
        colour = np.where(inside[..., None], 40 + b[3:6] % 100, 180 + b[0:3] % 50)
        grain = (b[9] * y + b[10] * x + x * y) % 24 - 12
        images[place] = colour + grain[..., None]
    return images
