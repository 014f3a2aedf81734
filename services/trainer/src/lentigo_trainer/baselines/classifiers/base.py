"""What every classifier of a baseline can do, and how features are scaled."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


class Classifier(Protocol):
    """A classifier that was fitted."""

    def probabilities(self, values: Floats) -> Floats:
        """Return the probability of each class, [n, classes]; rows sum to 1.

        Args:
            values: features, [n, k].
        """
        ...


class Fit(Protocol):
    """Fits a classifier."""

    def __call__(self, values: Floats, labels: Labels, classes: int, seed: int) -> Classifier:
        """Fit to n examples.

        Args:
            values: features, [n, k].
            labels: class numbers, [n]; each class has an example.
            classes: how many classes there are.
            seed: the same seed gives the same classifier.
        """
        ...


def softmax(logits: Floats) -> Floats:
    """Return probabilities, [n, classes]; rows sum to 1."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Floats = shifted / shifted.sum(axis=1, keepdims=True)
    return shares


def log_loss(probabilities: Floats, labels: Labels) -> float:
    """Return the mean cross-entropy, in nats."""
    of_truth = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.clip(of_truth, 1e-9, 1)).mean())
