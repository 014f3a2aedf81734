"""A fuzzy neural network for classification, by hand: no library of ours has one.

Rules of the form "if x is near centre r, then the logits are a linear function of x" (Takagi and
Sugeno, "Fuzzy identification of systems and its applications", IEEE SMC-15, 1985), learnt as a
network of layers (Jang, "ANFIS: adaptive-network-based fuzzy inference system", IEEE SMC-23, 1993):

1. membership: a Gaussian of each feature for each rule;
2. rule: their product, taken as a geometric mean, because a product over twenty features leaves one
   rule with all the weight;
3. normalisation: the shares of the rules sum to 1;
4. consequent: each rule's linear function, summed by these shares; softmax.

Centres start at k-means' and everything learns by back-propagation (Adam). The paper names fuzzy
neural networks without their layers in its abstract; this form is our choice.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from sklearn.cluster import KMeans

from lentigo_trainer.baselines.classifiers.base import Floats, Labels, softmax

RULES: Final = 12
EPOCHS: Final = 40
_BATCH: Final = 128
_RATE: Final = 0.005
_DECAY: Final = 1e-3
"""Of the consequents' weights, added to their gradient."""

_NARROWEST: Final = -1.5
"""Logarithm of the smallest width; features have unit variance."""

Parameters = dict[str, Floats]


@dataclass(frozen=True, slots=True)
class FuzzyNetwork:
    """A fitted network.

    Attributes:
        parameters: `centres` and `widths` (logarithms) [rules, k], `weights` [rules, k, classes]
            and `biases` [rules, classes].
    """

    parameters: Parameters

    def probabilities(self, values: Floats) -> Floats:
        """See `base.Classifier`."""
        logits, _ = _forward(self.parameters, values)
        return softmax(logits)


def fit_fuzzy(
    values: Floats, labels: Labels, classes: int, seed: int, epochs: int = EPOCHS
) -> FuzzyNetwork:
    """Fit a network to features of unit variance, see `base.Fit`.

    Args:
        values: [n, k].
        labels: class numbers, [n].
        classes: how many classes there are.
        seed: of the start and of the order of the examples.
        epochs: passes over the examples.
    """
    draw = np.random.default_rng(seed)
    rules = min(RULES, len(np.unique(values, axis=0)))
    clusters = KMeans(rules, n_init=1, random_state=seed).fit(values)
    parameters: Parameters = {
        "centres": clusters.cluster_centers_.astype(np.float64),
        "widths": np.zeros((rules, values.shape[1])),
        "weights": draw.normal(0, 0.05, (rules, values.shape[1], classes)),
        "biases": np.zeros((rules, classes)),
    }
    moments = {
        name: (np.zeros_like(each), np.zeros_like(each)) for name, each in parameters.items()
    }
    targets = np.eye(classes)[labels]
    step = 0
    for _ in range(epochs):
        order = draw.permutation(len(values))
        for start in range(0, len(order), _BATCH):
            rows = order[start : start + _BATCH]
            step += 1
            _adam(parameters, moments, gradients(parameters, values[rows], targets[rows]), step)
            np.maximum(parameters["widths"], _NARROWEST, out=parameters["widths"])
    return FuzzyNetwork(parameters)


def _forward(parameters: Parameters, values: Floats) -> tuple[Floats, tuple[Floats, ...]]:
    """Return the logits [n, classes], and what the way back needs."""
    apart = values[:, None] - parameters["centres"][None]
    precision = np.exp(-2 * parameters["widths"])
    firing = -0.5 * (apart**2 * precision).mean(axis=2)
    shares = softmax(firing)
    of_rules = np.einsum("nk,rkc->nrc", values, parameters["weights"], optimize=True)
    of_rules += parameters["biases"]
    logits = np.einsum("nr,nrc->nc", shares, of_rules)
    return logits, (apart, precision, shares, of_rules)


def gradients(parameters: Parameters, values: Floats, targets: Floats) -> Parameters:
    """Return the gradient of the mean cross-entropy and of the decay, by back-propagation.

    Args:
        parameters: of the network.
        values: features, [n, k].
        targets: one in the column of the class, otherwise 0, [n, classes].
    """
    logits, (apart, precision, shares, of_rules) = _forward(parameters, values)
    error = (softmax(logits) - targets) / len(values)
    weighted = shares[:, :, None] * error[:, None]
    of_share = np.einsum("nc,nrc->nr", error, of_rules)
    of_firing = shares * (of_share - (shares * of_share).sum(axis=1, keepdims=True))
    of_distance = of_firing[:, :, None] / values.shape[1]
    weights = np.einsum("nk,nrc->rkc", values, weighted, optimize=True)
    return {
        "centres": (of_distance * apart * precision).sum(axis=0),
        "widths": (of_distance * apart**2 * precision).sum(axis=0),
        "weights": weights + _DECAY * parameters["weights"],
        "biases": weighted.sum(axis=0),
    }


def _adam(
    parameters: Parameters,
    moments: dict[str, tuple[Floats, Floats]],
    found: Parameters,
    step: int,
) -> None:
    """Kingma and Ba, "Adam: A method for stochastic optimization", ICLR 2015."""
    for name, gradient in found.items():
        first, second = moments[name]
        first += 0.1 * (gradient - first)
        second += 0.001 * (gradient**2 - second)
        scale = np.sqrt(second / (1 - 0.999**step)) + 1e-8
        parameters[name] -= _RATE * first / (1 - 0.9**step) / scale
