"""The temperature of all diagnoses alike: one number that makes probabilities mean what they say.

Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017): logits are divided by the
temperature with the least cross-entropy on images that taught the network nothing. It changes no
diagnosis, only how sure the network says it is.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from lentigo_contract.errors import MetricError

HOTTEST: Final = 20.0
"""Both ends of the search: 20, and one twentieth. Without an end, a set on which every answer is
right would ask for a temperature of 0."""

_HALVINGS: Final = 60


def best_temperature(logits: npt.NDArray[np.floating], labels: npt.NDArray[np.int64]) -> float:
    """Find the temperature with the least mean cross-entropy.

    Cross-entropy is convex in 1 / temperature, so its slope has one change of sign, which is found
    by halving.

    Args:
        logits: [n, 7].
        labels: class numbers, [n].

    Raises:
        MetricError: no examples, or logits that are not numbers.
    """
    if not len(labels) or not np.isfinite(logits).all():
        raise MetricError(
            "A temperature takes examples with finite logits. Check that training did not diverge."
        )
    values = logits.astype(np.float64)
    right = values[np.arange(len(labels)), labels].mean()

    def slope(inverse: float) -> float:
        shares = softmax(values * inverse, axis=1)
        return float((shares * values).sum(axis=1).mean() - right)

    low, high = 1 / HOTTEST, HOTTEST
    for _ in range(_HALVINGS):
        # The ends lie apart by a factor, so the middle is the geometric one.
        middle = float(np.sqrt(low * high))
        low, high = (low, middle) if slope(middle) > 0 else (middle, high)
    return 1 / float(np.sqrt(low * high))
