"""What a version decides about images: each diagnosis, and the probability of malignancy.

`lentigo_contract.decision` has the arithmetic, which the service uses too.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from lentigo_contract.decision import DecidedBy, decide, malignant_probability
from lentigo_contract.manifest.manifest import Manifest
from lentigo_contract.manifest.probabilities import MalignancyCalibration, Prevalence
from lentigo_trainer.metrics.arrays import BoolArray, FloatArray, LabelArray


@dataclass(frozen=True, slots=True)
class Decisions:
    """The decisions about n images.

    Attributes:
        classes: class number of each diagnosis, int64 [n].
        by: how they were decided.
        malignancy: probability of malignancy that the threshold is held against, [n].
        confident: whether each diagnosis is relied on, [n]; None: as the highest probability and
            the abstention threshold say.
    """

    classes: LabelArray
    by: DecidedBy
    malignancy: FloatArray
    confident: BoolArray | None = None

    def where(self, kept: BoolArray) -> Self:
        """Return the decisions about some of the images, by a mask [n]."""
        return replace(
            self,
            classes=self.classes[kept],
            malignancy=self.malignancy[kept],
            confident=None if self.confident is None else self.confident[kept],
        )


def decisions_of(
    probabilities: FloatArray,
    prevalence: Prevalence | None = None,
    calibration: MalignancyCalibration | None = None,
) -> Decisions:
    """Decide as the service does by default.

    Args:
        probabilities: [n, 7]; rows sum to 1.
        prevalence: at which they hold: decide for balance; None decides for the most probable.
        calibration: of malignancy; None takes the sum over the malignant diagnoses.
    """
    return Decisions(
        classes=decide(np.asarray(probabilities), prevalence),
        by="probable" if prevalence is None else "balanced",
        malignancy=malignant_probability(probabilities, calibration),
    )


def decisions_by(manifest: Manifest | None, probabilities: FloatArray) -> Decisions:
    """Decide as a version does; for the most probable where its manifest is unknown."""
    if manifest is None:
        return decisions_of(probabilities)
    return decisions_of(probabilities, manifest.prevalence, manifest.malignancy_calibration)
