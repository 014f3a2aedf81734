"""The distance of a picture from those a network learnt from, by what one of its layers sees.

Mahalanobis distance (Lee et al., "A Simple Unified Framework for Detecting Out-of-Distribution
Samples and Adversarial Attacks", NeurIPS 2018) of a layer's features, averaged over the picture,
from their mean over the training images, with one covariance for all diagnoses. The logits and the
last features tell less: a network keeps there what tells one diagnosis from the other and forgets
the rest. docs/decisions/0015-unlike-what-it-learnt.md has the figures.
"""

from dataclasses import dataclass
from typing import Final

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from lentigo_contract.errors import TrainingError

SHRINKAGE: Final = 0.03
"""Share of the covariance that is replaced by equal variances (Ledoit and Wolf, "A
Well-Conditioned Estimator for Large-Dimensional Covariance Matrices", 2004): directions in which
the training images hardly vary shall not decide alone."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Unlikeness:
    """The squared distance, divided by the number of features: about 1 for what it was fitted to.

    Attributes:
        layer: name of the layer whose features count.
        whitening: float32 [c, c]; features @ whitening have variance 1 / c in every direction.
        offset: float32 [c], added, so that their mean is 0.
    """

    layer: str
    whitening: Floats
    offset: Floats

    def method(self) -> str:
        """Say what it is, in a sentence for the manifest."""
        return (
            f"squared Mahalanobis distance of the features behind {self.layer}, averaged over the "
            "picture, from those of training images, as they are and as other cameras might have "
            f"taken them; divided by the number of features, {len(self.offset)}"
        )

    def of(self, features: keras.KerasTensor) -> keras.KerasTensor:
        """Compute it, as forward operations that any engine can run.

        Args:
            features: what the layer gives, float32 [n, h, w, c].

        Returns:
            float32 [n], 0 and above.
        """
        pooled = ops.mean(features, axis=(1, 2))
        white = ops.matmul(pooled, self.whitening) + self.offset
        return ops.sum(white * white, axis=1)


def fitted(layer: str, pooled: Floats) -> Unlikeness:
    """Fit the distance.

    Args:
        layer: where the features come from.
        pooled: of training images, float32 [n, c], averaged over each picture.

    Raises:
        TrainingError: fewer than two images, or features that are no numbers or all the same.
    """
    if len(pooled) < 2:
        raise TrainingError(f"Unlikeness takes at least two training images, not {len(pooled)}.")
    values = pooled.astype(np.float64)
    if not np.isfinite(values).all() or (values == values[0]).all():
        raise TrainingError(
            f"The features behind {layer} are no numbers, or the same for every training image. "
            "Check that training did not diverge."
        )
    centred = values - values.mean(axis=0)
    covariance = centred.T @ centred / len(values)
    channels = len(covariance)
    evenly = np.trace(covariance) / channels
    shrunk = (1 - SHRINKAGE) * covariance + SHRINKAGE * evenly * np.eye(channels)
    # x @ whitening has the length that x has under the inverse of the covariance.
    whitening = np.linalg.cholesky(np.linalg.inv(shrunk)) / np.sqrt(channels)
    offset = -values.mean(axis=0) @ whitening
    return Unlikeness(layer, whitening.astype(np.float32), offset.astype(np.float32))
