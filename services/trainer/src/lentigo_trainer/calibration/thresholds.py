"""How a version answers: its map, its calibration, and every threshold that it is held to.

The threshold from which the probability of malignancy means "refer".

The probability below which the most probable diagnosis is not relied on.

From which unlikeness on a picture gets no diagnosis.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray

from lentigo_contract.manifest.engines import EngineName
from lentigo_contract.manifest.manifest import Calibration, MapGeometry, OodThreshold
from lentigo_trainer.errors import EmptyClassError, MetricError
from lentigo_trainer.evaluation.exported_model import ModelOutputs
from lentigo_trainer.metrics.arrays import (
    FloatArray,
    LabelArray,
    is_malignant,
    malignancy,
    validate_labels,
    validate_predictions,
)
from lentigo_trainer.metrics.classification import accuracy, balanced_accuracy, present_codes

WANTED_SENSITIVITY: Final = 0.95


@dataclass(frozen=True, slots=True)
class Referrals:
    """What an engine did at a threshold.

    Attributes:
        sensitivity: share of the malignant examples referred.
        specificity: share of the benign examples not referred.
    """

    sensitivity: float
    specificity: float


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold on the summed probability of mel, bcc and akiec, and what it did where chosen.

    Figures on the very data a threshold was chosen on flatter it; `chosen_on` names those data.

    Attributes:
        threshold: refer from this probability on, 0..1.
        referrals: what it did on those data, for each engine it was chosen for.
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
        """Say how the threshold came about, in one sentence for the manifest."""
        engines = "; ".join(
            f"{engine}: sensitivity {did.sensitivity:.3f} (n = {self.malignant}), "
            f"specificity {did.specificity:.3f} (n = {self.benign})"
            for engine, did in self.referrals.items()
        )
        return (
            f"largest threshold with a sensitivity for mel, bcc and akiec of at least "
            f"{WANTED_SENSITIVITY:.2f} by each engine named here, on {self.chosen_on}; {engines}"
        )


def choose_operating_point(
    truth: LabelArray,
    answers: Mapping[EngineName, FloatArray],
    chosen_on: str,
    wanted: float = WANTED_SENSITIVITY,
) -> OperatingPoint:
    """Find the threshold with the fewest false alarms among those sensitive enough.

    A version has one threshold, whichever engine answers. So the smallest of the engines' own is
    taken: a lower one refers no lesion less, and a referral missed is worse than a false alarm.

    Args:
        truth: class numbers, shape [n].
        answers: probabilities by each engine that may serve, at least one; each of shape [n, 7],
            in rows that sum to 1, calibrated as they will be served.
        chosen_on: the data, in words; they should not be those the model is judged on.
        wanted: least sensitivity, above 0 and at most 1.

    Raises:
        EmptyClassError: no malignant or no benign example.
        MetricError: arrays of another shape or range, or an impossible sensitivity.
    """
    if not 0 < wanted <= 1:
        raise MetricError(f"A sensitivity of {wanted} cannot be asked for; it lies in (0, 1].")
    scores = {
        engine: malignancy(validate_predictions(truth, each)[1]) for engine, each in answers.items()
    }
    malignant = is_malignant(validate_labels(truth))
    if malignant.all() or not malignant.any():
        raise EmptyClassError(
            "Choosing a malignancy threshold takes at least one malignant and one benign example."
        )
    threshold = min(_largest_threshold(malignant, each, wanted) for each in scores.values())
    return OperatingPoint(
        threshold=threshold,
        referrals={
            engine: _referrals(malignant, each >= threshold) for engine, each in scores.items()
        },
        malignant=int(malignant.sum()),
        benign=int((~malignant).sum()),
        chosen_on=chosen_on,
    )


def _largest_threshold(malignant: NDArray[np.bool_], scores: FloatArray, wanted: float) -> float:
    """Find one engine's threshold.

    Every threshold between two neighbouring probabilities does the same on these data; the middle
    is taken, so that a rounding on another processor does not move an example across it.
    """
    highest_first = np.sort(scores[malignant])[::-1]
    # 0.95 * 20 must ask for 19 examples, also where the product is a rounding above 19.
    needed = int(np.ceil(wanted * highest_first.size - 1e-9))
    lowest_referred = highest_first[needed - 1]
    below = scores[scores < lowest_referred].max(initial=0.0)
    return float((lowest_referred + below) / 2)


def _referrals(malignant: NDArray[np.bool_], referred: NDArray[np.bool_]) -> Referrals:
    return Referrals(
        sensitivity=float(referred[malignant].mean()),
        specificity=float((~referred[~malignant]).mean()),
    )


WANTED_COVERAGE: Final = 0.9


@dataclass(frozen=True, slots=True)
class Abstention:
    """A threshold on the probability of the answer itself, and how it came about.

    Attributes:
        threshold: do not rely on an answer below it, 0..1.
        source: what it did where it was chosen, in a sentence for the manifest.
    """

    threshold: float
    source: str


def choose_abstention(
    truth: LabelArray,
    answers: Mapping[EngineName, FloatArray],
    chosen_on: str,
    coverage: float = WANTED_COVERAGE,
) -> Abstention:
    """Find the highest threshold that leaves a share of the answers standing, by every engine.

    Chow, "On Optimum Recognition Error and Reject Tradeoff" (1970): for a given share of answers
    held back, holding back the least probable ones leaves the fewest errors.

    Args:
        truth: class numbers, shape [n].
        answers: probabilities by each engine that may serve, at least one; each of shape [n, 7],
            in rows that sum to 1, calibrated as they will be served.
        chosen_on: the data, in words; they should not be those the model is judged on.
        coverage: least share of the answers to rely on, above 0 and at most 1.

    Raises:
        MetricError: arrays of another shape or range, no engine, or an impossible coverage.
    """
    if not 0 < coverage <= 1:
        raise MetricError(f"A coverage of {coverage} cannot be asked for; it lies in (0, 1].")
    if not answers:
        raise MetricError("An abstention threshold takes the answers of at least one engine.")
    labels = validate_labels(truth)
    given = {engine: validate_predictions(labels, each)[1] for engine, each in answers.items()}
    threshold = min(_highest_threshold(each.max(axis=1), coverage) for each in given.values())
    did = "; ".join(
        f"{engine}: {_what_it_does(labels, each, each.max(axis=1) >= threshold)}"
        for engine, each in given.items()
    )
    return Abstention(
        threshold,
        f"highest threshold that keeps at least {coverage:.0%} of the answers of each engine named "
        f"here, on {chosen_on}; {did}",
    )


def _highest_threshold(confidence: FloatArray, coverage: float) -> float:
    """Find one engine's threshold: the middle between the last answer dropped and the next."""
    lowest_first = np.sort(confidence)
    # 0.1 * 610 must drop 61, also where the product is a rounding below 61.
    dropped = int((1 - coverage) * lowest_first.size + 1e-9)
    below = lowest_first[dropped - 1] if dropped else 0.0
    return float((below + lowest_first[dropped]) / 2)


def _what_it_does(truth: LabelArray, answers: FloatArray, kept: NDArray[np.bool_]) -> str:
    parts = [_figures("kept", truth[kept], answers[kept])]
    if not kept.all():
        parts.append(_figures("not relied on", truth[~kept], answers[~kept]))
    return ", ".join(parts)


def _figures(name: str, truth: LabelArray, answers: FloatArray) -> str:
    present = present_codes(truth)
    return (
        f"{name} {truth.size} (accuracy {accuracy(truth, answers):.3f}, balanced accuracy over "
        f"{len(present)} diagnoses {balanced_accuracy(truth, answers, present):.3f})"
    )


REFUSED_SHARE: Final = 0.0075
"""Of images that are lesions, at most three in 400 may be refused where the limit is chosen; other
lesions are refused a little more often, and the service may refuse 2 % for any reason."""


def choose_limit(
    told: Mapping[EngineName, npt.NDArray[np.floating]],
    method: str,
    chosen_on: str,
    share: float = REFUSED_SHARE,
) -> OodThreshold:
    """Find the lowest limit that refuses no more than a share of some lesions, by any engine.

    A version has one limit, whichever engine answers, so the largest of the engines' own is taken.

    Args:
        told: the unlikeness of the same n images, float [n], by each engine that may serve.
        method: what unlikeness is, in words.
        chosen_on: the images, in words; they should not have trained the network.
        share: that may be refused, 0 and above, below 1.

    Raises:
        MetricError: no engine, no images, an unlikeness that is no number or below 0, an
            impossible share, or no limit above 0.
    """
    if not 0 <= share < 1:
        raise MetricError(f"A share of {share} cannot be refused; it lies in [0, 1).")
    if not told:
        raise MetricError("A limit of unlikeness takes the answers of at least one engine.")
    values = {engine: _checked(each) for engine, each in told.items()}
    limit = max(_own_limit(each, share) for each in values.values())
    if not limit > 0:
        raise MetricError("Unlikeness is 0 for nearly every image, so it tells nothing.")
    did = "; ".join(
        f"{engine}: {np.count_nonzero(each > limit)} of {each.size} above it"
        for engine, each in values.items()
    )
    return OodThreshold(
        limit=limit,
        method=method,
        source=f"lowest limit that refuses at most {share:.2%} by each engine named here, "
        f"on {chosen_on}; {did}",
    )


def _checked(told: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    values = np.asarray(told, np.float64)
    if values.ndim != 1 or not values.size:
        raise MetricError(f"Unlikeness has shape {values.shape}; expected one for each image.")
    if not (np.isfinite(values) & (values >= 0)).all():
        raise MetricError(
            "An unlikeness is no number, or below 0. Check that training did not diverge."
        )
    return values


def _own_limit(values: npt.NDArray[np.float64], share: float) -> float:
    """Find one engine's limit: the middle between the last image kept and the first refused."""
    lowest_first = np.sort(values)
    # Half an image does not count, and 0.005 * 200 must give 1, whatever its rounding.
    refused = int(share * lowest_first.size + 1e-9)
    kept = lowest_first.size - refused - 1
    return float(lowest_first[kept : kept + 2].mean()) if refused else float(lowest_first[kept])


@dataclass(frozen=True, slots=True)
class ChosenThresholds:
    """How a version answers.

    Attributes:
        geometry: cells of its activation map.
        calibration: of its probabilities.
        point: from which probability of malignancy it refers.
        abstention: below which probability its diagnosis is not relied on.
        limit: above which unlikeness a picture gets no diagnosis.
    """

    geometry: MapGeometry
    calibration: Calibration
    point: OperatingPoint
    abstention: Abstention
    limit: OodThreshold


def choose_thresholds(
    geometry: MapGeometry,
    calibration: Calibration,
    method: str,
    truth: LabelArray,
    serving: Mapping[EngineName, ModelOutputs],
    chosen_on: str,
) -> ChosenThresholds:
    """Choose every threshold on the same images, for every engine that may serve.

    Args:
        geometry: of the version's activation map.
        calibration: of its probabilities, which the answers have already.
        method: what its unlikeness is, in words.
        truth: class numbers, [n].
        serving: what each of those engines said of the n images.
        chosen_on: the images, in words.

    Raises:
        EmptyClassError: no malignant or no benign example.
        MetricError: answers that cannot be.
    """
    probabilities = {engine: said.probabilities for engine, said in serving.items()}
    told = {
        engine: said.unlikeness for engine, said in serving.items() if said.unlikeness is not None
    }
    return ChosenThresholds(
        geometry,
        calibration,
        choose_operating_point(truth, probabilities, chosen_on),
        choose_abstention(truth, probabilities, chosen_on),
        choose_limit(told, method, chosen_on),
    )
