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
from scipy.stats import beta

from lentigo_contract.decision import malignant_probability
from lentigo_contract.manifest.engines import EngineName
from lentigo_contract.manifest.manifest import Calibration, MapGeometry, OodThreshold
from lentigo_contract.manifest.probabilities import MalignancyCalibration, Prevalence
from lentigo_trainer.errors import EmptyClassError, MetricError
from lentigo_trainer.metrics.arrays import (
    BoolArray,
    FloatArray,
    LabelArray,
    is_malignant,
    validate_labels,
    validate_predictions,
)
from lentigo_trainer.metrics.classification import accuracy, balanced_accuracy, present_codes

WANTED_SENSITIVITY: Final = 0.95
CONFIDENCE: Final = 0.95
"""Of the interval whose lower end must reach the wanted sensitivity."""
WANTED_COVERAGE: Final = 0.9
REFUSED_SHARE: Final = 0.0075
"""Largest share of lesions to refuse where the threshold is chosen, three in 400. Other lesions are
refused a little more often, and the service may refuse 2 % for any reason."""


@dataclass(frozen=True, slots=True)
class Referrals:
    """How an engine refers at a threshold.

    Attributes:
        sensitivity: share of the malignant examples referred.
        least_sensitivity: lower end of the confidence interval of the share of malignant lesions.
        specificity: share of the benign examples not referred.
    """

    sensitivity: float
    least_sensitivity: float
    specificity: float


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold on the probability of malignancy, and its performance.

    Metrics on the data that chose a threshold flatter it; `chosen_on` names those data.

    Attributes:
        threshold: refer from this probability on, 0..1.
        referrals: its performance on those data, for each engine it was chosen for.
        malignant: how many malignant examples they hold.
        benign: how many benign ones.
        chosen_on: the data, in words.
    """

    threshold: float
    referrals: Mapping[EngineName, Referrals]
    malignant: int
    benign: int
    chosen_on: str

    def source(self) -> str:
        """Describe how the threshold was chosen, in one sentence for the manifest."""
        engines = "; ".join(
            f"{engine}: sensitivity {rates.sensitivity:.3f} (n = {self.malignant}, lower bound by "
            f"lesion {rates.least_sensitivity:.3f}), specificity {rates.specificity:.3f} "
            f"(n = {self.benign})"
            for engine, rates in self.referrals.items()
        )
        return (
            f"largest threshold whose sensitivity for lesions of mel, bcc and akiec is at least "
            f"{WANTED_SENSITIVITY:.2f} by the lower end of its {CONFIDENCE:.0%} interval, by each "
            f"engine named here, or the one that refers all of them if none is; on "
            f"{self.chosen_on}; {engines}"
        )


def choose_operating_point(
    truth: LabelArray,
    scores: Mapping[EngineName, FloatArray],
    lesions: npt.NDArray[np.str_],
    chosen_on: str,
    wanted: float = WANTED_SENSITIVITY,
) -> OperatingPoint:
    """Find the threshold with the fewest false alarms among those that are surely sensitive enough.

    A sensitivity that is just reached on the images that chose the threshold is missed on half of
    all other sets, so the lower end of its confidence interval must reach it. The smallest of the
    engines' thresholds is used: a lower one still refers every lesion, and a missed referral is
    worse than a false alarm.

    Args:
        truth: class numbers, shape [n].
        scores: the probability of malignancy by each engine that may serve, at least one; each of
            shape [n], 0..1, calibrated as they will be served.
        lesions: the lesion of each image, shape [n].
        chosen_on: the data, in words; not those that the model is evaluated on.
        wanted: least sensitivity, above 0 and below 1.

    Raises:
        EmptyClassError: no malignant or no benign example.
        MetricError: scores of another shape or range, or an impossible sensitivity.
    """
    if not 0 < wanted < 1:
        raise MetricError(
            f"A sensitivity of {wanted} is not possible; it must be above 0 and below 1."
        )
    malignant = is_malignant(validate_labels(truth))
    validated = {
        engine: _validate_probabilities(each, len(malignant)) for engine, each in scores.items()
    }
    if malignant.all() or not malignant.any():
        raise EmptyClassError(
            "Choosing a malignancy threshold needs at least one malignant and one benign example."
        )
    shares = lesion_shares(lesions[malignant])
    threshold = min(
        _largest_threshold(malignant, each, shares, wanted) for each in validated.values()
    )
    return OperatingPoint(
        threshold=threshold,
        referrals={
            engine: _referrals(malignant, each >= threshold, shares)
            for engine, each in validated.items()
        },
        malignant=int(malignant.sum()),
        benign=int((~malignant).sum()),
        chosen_on=chosen_on,
    )


def lesion_shares(lesions: npt.NDArray[np.str_]) -> FloatArray:
    """Return each image's share of its lesion: [n], one over the lesion's number of images."""
    _, number, count = np.unique(lesions, return_inverse=True, return_counts=True)
    shares: FloatArray = 1 / count[number]
    return shares


def lower_bound(found: FloatArray | float, lesions: float) -> FloatArray:
    """Return the lower end of the confidence interval of a share of lesions.

    Clopper and Pearson, "The Use of Confidence or Fiducial Limits" (Biometrika 26, 1934). A lesion
    of which some images are found counts by their share; that varies less than a lesion that is
    found or not, so the bound is on the safe side.

    Args:
        found: number of lesions found, 0 to `lesions`.
        lesions: number of lesions.
    """
    values = np.asarray(found, np.float64)
    ends = beta.ppf((1 - CONFIDENCE) / 2, np.maximum(values, 1e-12), lesions - values + 1)
    return np.where(values > 0, ends, 0.0)


def _validate_probabilities(scores: FloatArray, count: int) -> FloatArray:
    values = np.asarray(scores, np.float64)
    if values.shape != (count,) or not ((values >= 0) & (values <= 1)).all():
        raise MetricError(
            f"The probabilities of malignancy have shape {values.shape} or values outside 0 to 1; "
            f"expected is one for each of {count} images. Check that training did not diverge."
        )
    return values


def _largest_threshold(
    malignant: BoolArray, scores: FloatArray, shares: FloatArray, wanted: float
) -> float:
    """Find one engine's threshold.

    Every threshold between two neighbouring probabilities does the same on these data. Use the
    middle, so that a rounding on another processor does not move an example across it.
    """
    order = np.argsort(-scores[malignant], kind="stable")
    highest_first = scores[malignant][order]
    lesions = round(shares.sum())
    bounds = lower_bound(np.minimum(np.cumsum(shares[order]), lesions), lesions)
    enough = np.flatnonzero(bounds >= wanted)
    lowest_referred = highest_first[enough[0]] if enough.size else highest_first[-1]
    below = scores[scores < lowest_referred].max(initial=0.0)
    return float((lowest_referred + below) / 2)


def _referrals(malignant: BoolArray, referred: BoolArray, shares: FloatArray) -> Referrals:
    lesions = round(shares.sum())
    found = min(float(shares @ referred[malignant]), lesions)
    return Referrals(
        sensitivity=float(referred[malignant].mean()),
        least_sensitivity=float(lower_bound(found, lesions)),
        specificity=float((~referred[~malignant]).mean()),
    )


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
        f"over {len(present)} diagnoses {balanced_accuracy(truth, probabilities):.3f})"
    )


def choose_ood_threshold(
    scores: Mapping[EngineName, npt.NDArray[np.floating]],
    method: str,
    chosen_on: str,
    share: float = REFUSED_SHARE,
) -> OodThreshold:
    """Find the lowest threshold that refuses at most a share of some lesions, for every engine.

    The largest of the engines' thresholds is used.

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
        source=f"lowest threshold that refuses at most {share:.2%} by each engine named here, "
        f"on {chosen_on}; {performance}",
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
    # Half an image does not count, and 0.005 * 200 must give 1, whatever its rounding.
    refused = int(share * lowest_first.size + 1e-9)
    kept = lowest_first.size - refused - 1
    return float(lowest_first[kept : kept + 2].mean()) if refused else float(lowest_first[kept])


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
    geometry: MapGeometry, meaning: Meaning, method: str, basis: ThresholdBasis
) -> ChosenThresholds:
    """Choose every threshold on the same images, for every engine that may serve.

    Args:
        geometry: of the version's activation map.
        meaning: of its probabilities.
        method: what its out-of-distribution score is, in words.
        basis: the images, and the answers of each of those engines.

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
    scores = {
        engine: each.unlikeness
        for engine, each in basis.answers.items()
        if each.unlikeness is not None
    }
    return ChosenThresholds(
        geometry,
        meaning,
        choose_operating_point(basis.truth, malignant, basis.lesions, basis.description),
        choose_abstention(basis.truth, probabilities, basis.description),
        choose_ood_threshold(scores, method, basis.description),
    )
