"""An imported set as an external test: what a version does with the images of other clinics.

Such a set may know only some of the seven diagnoses, so accuracy over all seven says little. What
it can tell is melanoma, referral, and whether the probability of malignancy means what it says.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from lentigo_contract.decision import malignant_probability
from lentigo_contract.labels import CODES
from lentigo_contract.manifest.probabilities import MalignancyCalibration
from lentigo_trainer.data.extra.imported_set import SetPart, open_set
from lentigo_trainer.errors import ImportedSetError
from lentigo_trainer.evaluation.images.image_sets import ImageSet
from lentigo_trainer.metrics.arrays import FloatArray, LabelArray, is_malignant
from lentigo_trainer.metrics.bootstrap import Basis, Estimate, Resampling, estimates
from lentigo_trainer.metrics.reliability import calibration_error


class ExternalTest(BaseModel):
    """What can be told on images of other clinics, apart from the metrics of the seven.

    Attributes:
        set_name: of the imported set.
        classes: the diagnoses that it knows, in label order.
        groups: how many groups of images there are; intervals draw whole groups.
        malignancy_calibration_error: expected calibration error of the probability of malignancy,
            0..1, over 15 bins of equal width.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    set_name: str
    classes: tuple[str, ...]
    groups: int
    malignancy_calibration_error: Estimate


@contextmanager
def open_external_set(folder: Path, part: SetPart) -> Iterator[ImageSet]:
    """Open an imported set, or one part of it, to evaluate on.

    Raises:
        ImportedSetError: there is no set, it is damaged, or the part holds no image.
    """
    found = open_set(folder, part)
    if not len(found.rows):
        raise ImportedSetError(
            f"The {part} part of {folder} holds no image. Import more images, or choose another "
            "--part."
        )
    with found.open_images() as readers:
        yield ImageSet(
            description=found.describe(),
            names=tuple(found.records["image_id"]),
            truth=found.labels,
            readers=readers,
            people=found.records,
            imported_set=found.summary.name,
        )


def external_test(
    images: ImageSet,
    truth: LabelArray,
    probabilities: FloatArray,
    calibration: MalignancyCalibration | None,
    resampling: Resampling,
) -> ExternalTest | None:
    """Evaluate what an imported set can tell; None for other images.

    Args:
        images: what was evaluated on.
        truth: class numbers, [n].
        probabilities: as served, [n, 7]; rows sum to 1.
        calibration: of P(malignant), from the version's manifest.
        resampling: how to compute the intervals.
    """
    if images.imported_set is None:
        return None
    score, malignant = malignant_probability(probabilities, calibration), is_malignant(truth)
    found = estimates(
        lambda weights: {"error": calibration_error(score, malignant, weights)},
        {"error": Basis(truth.size, "")},
        resampling,
    )
    return ExternalTest(
        set_name=images.imported_set,
        classes=tuple(code for place, code in enumerate(CODES) if (truth == place).any()),
        groups=int(np.unique(resampling.groups).size),
        malignancy_calibration_error=found["error"],
    )
