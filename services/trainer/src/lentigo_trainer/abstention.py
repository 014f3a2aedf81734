"""The probability below which the most probable diagnosis is not relied on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lentigo_contract.errors import MetricError
from lentigo_contract.manifest.engines import EngineName
from lentigo_trainer.answers import FloatArray, LabelArray, checked, checked_truth
from lentigo_trainer.metrics import accuracy, balanced_accuracy, present_codes

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
    labels = checked_truth(truth)
    given = {engine: checked(labels, each)[1] for engine, each in answers.items()}
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
