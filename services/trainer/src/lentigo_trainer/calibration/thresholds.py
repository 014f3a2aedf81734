"""The thresholds of a version, chosen on images that did not train it.

- Operating point: from which probability of malignancy a lesion is referred.
- Abstention: below which probability the most probable diagnosis is not relied on.
- Out-of-distribution: above which score (`unlikeness` in the manifest) an image gets no diagnosis.

A version has one threshold of each kind, whichever engine runs it, so each is chosen on the outputs
of every engine that may serve.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
from scipy.stats import binom

from lentigo_contract.decision import malignant_probability
from lentigo_contract.manifest.engines import EngineName
from lentigo_contract.manifest.manifest import MapGeometry, OodThreshold
from lentigo_contract.manifest.probabilities import Calibration, MalignancyCalibration, Prevalence
from lentigo_contract.wording import pluralize
from lentigo_trainer.calibration.operating_point import OperatingPoint, choose_operating_point
from lentigo_trainer.errors import MetricError
from lentigo_trainer.metrics.arrays import (
    BoolArray,
    FloatArray,
    LabelArray,
    validate_labels,
    validate_predictions,
)
from lentigo_trainer.metrics.classification import accuracy, balanced_accuracy, present_codes

WANTED_COVERAGE: Final = 0.9
REFUSED_SHARE: Final = 0.01
"""Largest share of lesions to refuse, by the upper end of its interval where the threshold is
chosen. Those of other clinics are refused more often."""

_SIGNIFICANCE: Final = 0.05
"""Of the interval, which is one-sided: its level is 95 %."""


@dataclass(frozen=True, slots=True)
class Abstention:
    """A threshold on the probability of the prediction itself, and how it was chosen.

    Attributes:
        threshold: do not rely on a prediction below it, 0..1.
        source: its performance where it was chosen, in a sentence for the manifest.
    """

    threshold: float
    source: str


def choose_abstention(
    truth: LabelArray,
    probabilities: Mapping[EngineName, FloatArray],
    chosen_on: str,
    coverage: float = WANTED_COVERAGE,
) -> Abstention:
    """Find the highest threshold that keeps a share of the predictions, for every engine.

    Chow, "On Optimum Recognition Error and Reject Tradeoff" (1970): for a given share of rejected
    predictions, rejecting the least probable ones leaves the fewest errors.

    Args:
        truth: class numbers, shape [n].
        probabilities: of each engine that may serve, at least one; each of shape [n, 7], in rows
            that sum to 1, calibrated as they will be served.
        chosen_on: the data, in words; not those that the model is evaluated on.
        coverage: least share of the predictions to rely on, above 0 and at most 1.

    Raises:
        MetricError: arrays of another shape or range, no engine, or an impossible coverage.
    """
    if not 0 < coverage <= 1:
        raise MetricError(
            f"A coverage of {coverage} is not possible; it must be above 0 and at most 1."
        )
    if not probabilities:
        raise MetricError("An abstention threshold needs the outputs of at least one engine.")
    labels = validate_labels(truth)
    validated = {
        engine: validate_predictions(labels, each)[1] for engine, each in probabilities.items()
    }
    threshold = min(_highest_threshold(each.max(axis=1), coverage) for each in validated.values())
    performance = "; ".join(
        f"{engine}: {_describe(labels, each, each.max(axis=1) >= threshold)}"
        for engine, each in validated.items()
    )
    return Abstention(
        threshold,
        f"highest threshold that keeps at least {coverage:.0%} of the predictions of each engine "
        f"named here, on {chosen_on}; {performance}",
    )


def _highest_threshold(confidence: FloatArray, coverage: float) -> float:
    """Find one engine's threshold: the middle between the last prediction dropped and the next."""
    lowest_first = np.sort(confidence)
    # 0.1 * 610 must drop 61, also where the product is a rounding below 61.
    dropped = int((1 - coverage) * lowest_first.size + 1e-9)
    below = lowest_first[dropped - 1] if dropped else 0.0
    return float((below + lowest_first[dropped]) / 2)


def _describe(truth: LabelArray, probabilities: FloatArray, kept: BoolArray) -> str:
    parts = [_accuracies("kept", truth[kept], probabilities[kept])]
    if not kept.all():
        parts.append(_accuracies("not relied on", truth[~kept], probabilities[~kept]))
    return ", ".join(parts)


def _accuracies(name: str, truth: LabelArray, probabilities: FloatArray) -> str:
    present = present_codes(truth)
    return (
        f"{name} {truth.size} (accuracy {accuracy(truth, probabilities):.3f}, balanced accuracy "
        f"over {pluralize(len(present), 'diagnosis')} "
        f"{balanced_accuracy(truth, probabilities):.3f})"
    )


def choose_ood_threshold(
    scores: Mapping[EngineName, npt.NDArray[np.floating]],
    method: str,
    chosen_on: str,
    share: float = REFUSED_SHARE,
) -> OodThreshold:
    """Find the lowest threshold that refuses at most a share of lesions, for every engine.

    The upper end of the exact interval (Clopper and Pearson, Biometrika 26, 1934) of what is
    refused is at most the share, so few images give a higher threshold. Where they are too few for
    that, none of them is refused. The largest of the engines' thresholds is used.

    Args:
        scores: of the same n images, float [n], by each engine that may serve; higher is further
            from the training images.
        method: what the score is, in words.
        chosen_on: the images, in words; they should not have trained the network.
        share: that may be refused, 0 and above, below 1.

    Raises:
        MetricError: no engine, no images, a score that is not a number or below 0, an impossible
            share, or no threshold above 0.
    """
    if not 0 <= share < 1:
        raise MetricError(
            f"A share of {share} cannot be refused; it must be 0 or more and below 1."
        )
    if not scores:
        raise MetricError(
            "An out-of-distribution threshold needs the outputs of at least one engine."
        )
    values = {engine: _validate_scores(each) for engine, each in scores.items()}
    threshold = max(_lowest_threshold(each, share) for each in values.values())
    if not threshold > 0:
        raise MetricError(
            "The out-of-distribution score is 0 for nearly every image, so it separates nothing."
        )
    performance = "; ".join(
        f"{engine}: {np.count_nonzero(each > threshold)} of {each.size} above it"
        for engine, each in values.items()
    )
    return OodThreshold(
        limit=threshold,
        method=method,
        source=f"lowest threshold that refuses at most {share:.0%}, by the upper end of its "
        f"one-sided 95% interval, by each engine named here, on {chosen_on}; {performance}",
    )


def _validate_scores(scores: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    values = np.asarray(scores, np.float64)
    if values.ndim != 1 or not values.size:
        raise MetricError(
            f"The out-of-distribution scores have shape {values.shape}; expected one per image."
        )
    if not (np.isfinite(values) & (values >= 0)).all():
        raise MetricError(
            "An out-of-distribution score is not a number, or below 0. Check that training did not "
            "diverge."
        )
    return values


def _lowest_threshold(values: npt.NDArray[np.float64], share: float) -> float:
    """Find one engine's threshold: the middle between the last image kept and the first refused."""
    lowest_first = np.sort(values)
    refused = _most_refused(lowest_first.size, share)
    kept = lowest_first.size - refused - 1
    return float(lowest_first[kept : kept + 2].mean()) if refused else float(lowest_first[kept])


def _most_refused(count: int, share: float) -> int:
    """Return the largest count whose upper confidence limit is at most the share."""
    if not share:
        return 0
    # The interval's end is at most the share if so few would be as rare as this at the share.
    most = int(binom.ppf(_SIGNIFICANCE, count, share))
    if binom.cdf(most, count, share) > _SIGNIFICANCE:
        most -= 1
    return max(most, 0)


class Answers(Protocol):
    """What an engine says of n images."""

    @property
    def probabilities(self) -> npt.NDArray[np.floating]:
        """Calibrated, [n, 7], rows sum to 1."""

    @property
    def unlikeness(self) -> npt.NDArray[np.floating] | None:
        """Out-of-distribution score, [n], 0 and above."""


@dataclass(frozen=True, slots=True)
class ThresholdBasis:
    """The images that thresholds are chosen on, and the answers for them.

    Attributes:
        description: the images, in words.
        truth: class numbers, [n].
        lesions: the lesion of each image, [n].
        answers: of each engine that may serve, for these n images.
    """

    description: str
    truth: LabelArray
    lesions: npt.NDArray[np.str_]
    answers: Mapping[EngineName, Answers]


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a version's probabilities mean; see the manifest's fields of these names."""

    calibration: Calibration
    prevalence: Prevalence | None = None
    malignancy_calibration: MalignancyCalibration | None = None


@dataclass(frozen=True, slots=True)
class ChosenThresholds:
    """How a version turns outputs into decisions.

    Attributes:
        geometry: cells of its activation map.
        meaning: of its probabilities.
        point: from which probability of malignancy it refers.
        abstention: below which probability its diagnosis is not relied on.
        ood: above which out-of-distribution score an image gets no diagnosis.
    """

    geometry: MapGeometry
    meaning: Meaning
    point: OperatingPoint
    abstention: Abstention
    ood: OodThreshold


def choose_thresholds(
    geometry: MapGeometry,
    meaning: Meaning,
    method: str,
    basis: ThresholdBasis,
    without_scores: ThresholdBasis,
) -> ChosenThresholds:
    """Choose every threshold on the same images, for every engine that may serve.

    Args:
        geometry: of the version's activation map.
        meaning: of its probabilities.
        method: what its out-of-distribution score is, in words.
        basis: the images, and the answers of each of those engines.
        without_scores: the same for the out-of-distribution limit, if the answers of `basis` have
            no scores.

    Raises:
        EmptyClassError: no malignant or no benign example.
        MetricError: outputs of another shape or range.
    """
    probabilities = {engine: each.probabilities for engine, each in basis.answers.items()}
    malignant = {
        engine: malignant_probability(
            validate_predictions(basis.truth, each)[1], meaning.malignancy_calibration
        )
        for engine, each in probabilities.items()
    }
    scored = basis if _scores(basis) else without_scores
    return ChosenThresholds(
        geometry,
        meaning,
        choose_operating_point(basis.truth, malignant, basis.lesions, basis.description),
        choose_abstention(basis.truth, probabilities, basis.description),
        choose_ood_threshold(_scores(scored), method, scored.description),
    )


def _scores(basis: ThresholdBasis) -> dict[EngineName, npt.NDArray[np.floating]]:
    return {
        engine: each.unlikeness
        for engine, each in basis.answers.items()
        if each.unlikeness is not None
    }
