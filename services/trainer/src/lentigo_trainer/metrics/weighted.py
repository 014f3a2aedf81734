"""Averages under the weights of bootstrap resamples.

Every metric is written once, over weights [b, n]: how often each of b resamples holds each of n
examples. Weights of all ones give the value on the data themselves. A metric that a resample does
not define is NaN there.
"""

import numpy as np

from lentigo_trainer.metrics.arrays import BoolArray, FloatArray


def mean(
    values: FloatArray | BoolArray, weights: FloatArray, among: BoolArray | None = None
) -> FloatArray:
    """Average values [n] over all examples, or over those `among`, in each resample: [b]."""
    counted = np.ones(values.size) if among is None else among.astype(np.float64)
    return ratio(weights @ (values * counted), weights @ counted)


def ratio(part: FloatArray, whole: FloatArray) -> FloatArray:
    """Divide, with NaN where `whole` is not above 0."""
    return np.divide(part, whole, out=np.full_like(whole, np.nan), where=whole > 0)
