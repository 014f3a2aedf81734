"""Types of the arrays that metrics work on, and their validation."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from lentigo_contract.decision import malignant_probability
from lentigo_contract.labels import CODES, MALIGNANT
from lentigo_trainer.errors import MetricError

LabelArray = NDArray[np.integer]
FloatArray = NDArray[np.floating]
BoolArray = NDArray[np.bool_]

ROW_SUM_TOLERANCE: Final = 1e-3
"""How far the sum of a row may be from 1: room for float32 and for four decimals in JSON."""


def validate_predictions(
    truth: LabelArray, probabilities: FloatArray
) -> tuple[LabelArray, FloatArray]:
    """Return both arrays as int64 [n] and float64 [n, 7].

    Raises:
        MetricError: no examples, a wrong shape, a label outside 0..6, a probability that is not a
            number between 0 and 1, or a row that does not sum to 1.
    """
    labels = validate_labels(truth)
    rows = np.asarray(probabilities, dtype=np.float64)
    expected = (labels.size, len(CODES))
    if rows.shape != expected:
        raise MetricError(f"The probabilities have shape {rows.shape}; expected {expected}.")
    _refuse_rows(~np.isfinite(rows), "is not a number")
    _refuse_rows((rows < 0) | (rows > 1), "is outside 0..1")
    _refuse_rows(abs(rows.sum(axis=1, keepdims=True) - 1) > ROW_SUM_TOLERANCE, "does not sum to 1")
    return labels, rows


def validate_labels(truth: LabelArray) -> LabelArray:
    """Return the labels as int64 [n].

    Raises:
        MetricError: no examples, not one dimension of whole numbers, or a label outside 0..6.
    """
    labels = np.asarray(truth)
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise MetricError(
            f"The truth must be one-dimensional class numbers, not {labels.dtype} {labels.shape}."
        )
    if labels.size == 0:
        raise MetricError("There is no example to evaluate.")
    if labels.min() < 0 or labels.max() >= len(CODES):
        raise MetricError(f"The truth has a class number outside 0..{len(CODES) - 1}.")
    return labels.astype(np.int64)


def malignancy(probabilities: FloatArray) -> FloatArray:
    """Sum the probabilities of mel, bcc and akiec: [n, 7] to [n], between 0 and 1."""
    return malignant_probability(probabilities, None)


def is_malignant(truth: LabelArray) -> BoolArray:
    """Return whether each class number is a malignant diagnosis: [n] to [n]."""
    return np.array(MALIGNANT)[truth]


def _refuse_rows(bad: BoolArray, why: str) -> None:
    rows = np.flatnonzero(np.any(bad, axis=1))
    if rows.size:
        raise MetricError(f"Row {rows[0]} of the probabilities {why} ({rows.size} such rows).")
