"""The variants beside the uncompressed network, on the images of the fold that none learnt from.

A network of one fold has answers for that fold alone. So the fold is divided once more, by lesion:
what turns answers into diagnoses and referrals is fitted on the other parts, for each variant by
itself, as it would be if that variant were published.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from lentigo_trainer.calibration.cross_validation import CrossValidated, cross_validate, measure
from lentigo_trainer.data.dataset import Prepared
from lentigo_trainer.data.duplicates.known import merged_lesions
from lentigo_trainer.data.out_of_fold import OutOfFold
from lentigo_trainer.data.splits import folds_of
from lentigo_trainer.metrics.arrays import malignancy
from lentigo_trainer.metrics.bootstrap import Estimate, Resampling, share_of

Logits = npt.NDArray[np.float32]

PARTS = 5
SEED = 0


def parts_of_fold(rows: npt.NDArray[np.intp], prepared: Prepared) -> int:
    """Return into how many parts a fold is divided; 1 if a diagnosis has a single lesion in it.

    Args:
        rows: of the fold's images, ascending.
        prepared: the data set.
    """
    lesions = merged_lesions(prepared.records)[rows]
    labels = prepared.labels[rows]
    fewest = min(len(np.unique(lesions[labels == label])) for label in np.unique(labels))
    return min(PARTS, fewest)


def decided(logits: Logits, rows: npt.NDArray[np.intp], prepared: Prepared) -> CrossValidated:
    """Calibrate and decide a network's answers for a fold, each part by the others.

    Where the fold cannot be divided, as in a quick run, the answers stay as they are, the most
    probable diagnosis counts, and a probability of malignancy of 0.5 refers.

    Args:
        logits: float32 [n, 7].
        rows: of the images, [n], ascending.
        prepared: the data set.
    """
    count = parts_of_fold(rows, prepared)
    if count < 2:
        exponents = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
        probabilities = exponents / exponents.sum(axis=1, keepdims=True)
        risk = malignancy(probabilities)
        return CrossValidated(rows, probabilities, probabilities.argmax(axis=1), risk, risk >= 0.5)
    parts = folds_of(rows, prepared.records, count)
    answers = OutOfFold(rows, parts.fold, logits, None)
    return cross_validate(answers, prepared.labels, merged_lesions(prepared.records))


def compared(
    answers: Mapping[str, CrossValidated], reference: str, prepared: Prepared
) -> dict[str, dict[str, dict[str, Estimate]]]:
    """Measure each variant, and its differences to one of them, paired by lesion.

    Args:
        answers: of each variant, for the same images.
        reference: the one that the others are compared with.
        prepared: the data set.

    Returns:
        By variant `metrics`, `differences` and `agreement`; the last holds the share of equal
        `diagnoses` and of equal `referrals`.
    """
    lesions = merged_lesions(prepared.records)
    base = answers[reference]
    resampling = Resampling(lesions[base.rows], SEED)
    return {
        name: {
            "metrics": measure(each, None, prepared.labels, lesions, SEED),
            "differences": measure(each, base, prepared.labels, lesions, SEED),
            "agreement": {
                "diagnoses": share_of(each.diagnoses == base.diagnoses, resampling),
                "referrals": share_of(each.referred == base.referred, resampling),
            },
        }
        for name, each in answers.items()
    }
