"""Xie et al.'s classifier: an ensemble of back-propagation and fuzzy neural networks.

    features -> unit variance -> principal components -> networks on resamples -> two means -> one

The abstract says that networks of both kinds are combined, and that they classify better together.
How many there are and how they are combined it does not say. Here five of each kind learn from
bootstrap resamples (bagging; Breiman, Machine Learning 24, 1996), each kind answers by its mean,
and the share of each kind is the one with the least cross-entropy on the examples that a network's
resample left out. Components that hold 95 % of the variance are kept.
"""

import warnings
from dataclasses import dataclass, replace
from typing import Final, Literal, Protocol

import numpy as np
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from lentigo_trainer.baselines.classifiers.base import Floats, Labels, log_loss
from lentigo_trainer.baselines.classifiers.fuzzy import fit_fuzzy

MEMBERS: Final = 5
"""Networks of each kind."""

VARIANCE: Final = 0.95
_HIDDEN: Final = (24,)
_EPOCHS: Final = 60
_SHARES: Final = np.linspace(0, 1, 21)


class _Network(Protocol):
    def probabilities(self, values: Floats) -> Floats: ...


@dataclass(frozen=True, slots=True)
class BackPropagation:
    """A multi-layer perceptron of scikit-learn that learnt some of the classes.

    Attributes:
        network: fitted.
        classes: how many classes there are in all.
    """

    network: MLPClassifier
    classes: int

    def probabilities(self, values: Floats) -> Floats:
        """See `base.Classifier`."""
        result = np.zeros((len(values), self.classes))
        result[:, self.network.classes_] = self.network.predict_proba(values)
        return result


@dataclass(frozen=True, slots=True)
class Ensemble:
    """A fitted ensemble.

    Attributes:
        components: scales features and projects them.
        back_propagation: networks of the first kind.
        fuzzy: networks of the second kind.
        share: of the first kind in the answer, 0 to 1.
    """

    components: Pipeline
    back_propagation: tuple[_Network, ...]
    fuzzy: tuple[_Network, ...]
    share: float

    def probabilities(self, values: Floats) -> Floats:
        """See `base.Classifier`."""
        projected = self.components.transform(values)
        one, other = (
            np.mean([network.probabilities(projected) for network in kind], axis=0)
            for kind in (self.back_propagation, self.fuzzy)
        )
        mixed: Floats = self.share * one + (1 - self.share) * other
        return mixed


def fit_ensemble(values: Floats, labels: Labels, classes: int, seed: int) -> Ensemble:
    """Fit the ensemble, see `base.Fit`."""
    components = make_pipeline(StandardScaler(), PCA(VARIANCE, whiten=True, random_state=seed))
    projected = components.fit_transform(values)
    draw = np.random.default_rng(seed)
    kinds: tuple[list[_Network], list[_Network]] = ([], [])
    count = len(labels)
    sums = np.zeros((2, count, classes))
    times = np.zeros(count)
    for member in range(MEMBERS):
        rows = _resample(labels, draw)
        left_out = np.setdiff1d(np.arange(count), rows)
        times[left_out] += 1
        own = seed + 1000 * member
        fitted: tuple[_Network, _Network] = (
            fit_back_propagation(projected[rows], labels[rows], classes, own),
            fit_fuzzy(projected[rows], labels[rows], classes, own),
        )
        for place, network in enumerate(fitted):
            kinds[place].append(network)
            if len(left_out):
                sums[place, left_out] += network.probabilities(projected[left_out])
    known = times > 0
    means = sums[:, known] / times[known, None]
    share = 0.5
    if known.any():
        losses = [
            log_loss(each * means[0] + (1 - each) * means[1], labels[known]) for each in _SHARES
        ]
        share = float(_SHARES[int(np.argmin(losses))])
    return Ensemble(components, tuple(kinds[0]), tuple(kinds[1]), share)


def fit_one_kind(
    values: Floats,
    labels: Labels,
    classes: int,
    seed: int,
    kind: Literal["back-propagation", "fuzzy"],
) -> Ensemble:
    """Fit the ensemble, see `base.Fit`, and let only the networks of one kind answer."""
    return replace(
        fit_ensemble(values, labels, classes, seed), share=float(kind == "back-propagation")
    )


def fit_back_propagation(
    values: Floats, labels: Labels, classes: int, seed: int
) -> BackPropagation:
    """Fit a multi-layer perceptron with one hidden layer, see `base.Fit`."""
    network = MLPClassifier(
        _HIDDEN, activation="tanh", alpha=1e-2, max_iter=_EPOCHS, random_state=seed
    )
    with warnings.catch_warnings():
        # The number of epochs is chosen, not waited for.
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.fit(values, labels)
    return BackPropagation(network, classes)


def _resample(labels: Labels, draw: np.random.Generator) -> np.ndarray:
    """Draw examples with replacement, of each class as many as it has."""
    return np.concatenate(
        [
            draw.choice(np.flatnonzero(labels == label), np.count_nonzero(labels == label))
            for label in np.unique(labels)
        ]
    )
