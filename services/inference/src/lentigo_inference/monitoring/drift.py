"""Drift of the input: whether the images still look as those that a version was measured on.

A distance of 0.2 means that at least a fifth of the images would have to be others for the two
distributions to be the same. That holds for both distances that are used here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from lentigo_contract.labels import CODES
from lentigo_contract.manifest.input_reference import LEVELS, InputReference, Quantiles
from lentigo_inference.monitoring.expected import ExpectedDiagnoses
from lentigo_inference.monitoring.intervals import Estimate, distance, not_measured, share
from lentigo_inference.monitoring.seen import SeenImage

LEAST_IMAGES: Final = 50
"""Images below which no drift is given: the interval would be wider than any change."""

_MIDDLE: Final = LEVELS.index(0.5)


@dataclass(frozen=True, slots=True)
class FeatureDrift:
    """A number of each image.

    Attributes:
        median: of the images; None without any.
        reference_median: of the reference; None if the version does not tell.
        drift: distance of Kolmogorov and Smirnov: largest difference of the cumulative shares.
    """

    median: float | None
    reference_median: float | None
    drift: Estimate


@dataclass(frozen=True, slots=True)
class DiagnosisShare:
    """How often a diagnosis was named, among those that were; `expected` by the version."""

    code: str
    share: Estimate
    expected: float | None


@dataclass(frozen=True, slots=True)
class DiagnosesDrift:
    """The diagnoses that were named; `drift` is the total variation distance."""

    shares: tuple[DiagnosisShare, ...]
    drift: Estimate


@dataclass(frozen=True, slots=True)
class RefusedDrift:
    """The images that cannot be judged; `drift` is the difference of the shares."""

    share: Estimate
    expected: float | None
    drift: Estimate


@dataclass(frozen=True, slots=True)
class InputSummary:
    """The images that were answered lately, beside what the version was measured on.

    Attributes:
        images: how many.
        since: Unix time of the first answer; None without any.
        until: of the last.
        reference: which images the version was measured on, in words; None if it does not tell.
        brightness: mean of each image, 0 to 255.
        sharpness: of each image, 0 to 1.
        unlikeness: of each image that the network saw.
        diagnoses: of the images that can be judged.
        refused: those that cannot.
    """

    images: int
    since: float | None
    until: float | None
    reference: str | None
    brightness: FeatureDrift
    sharpness: FeatureDrift
    unlikeness: FeatureDrift
    diagnoses: DiagnosesDrift
    refused: RefusedDrift

    def features(self) -> dict[str, FeatureDrift]:
        """Return the numbers of each image by their names."""
        return {
            "brightness": self.brightness,
            "sharpness": self.sharpness,
            "unlikeness": self.unlikeness,
        }

    def drifts(self) -> dict[str, Estimate]:
        """Return every drift by its name."""
        return {
            **{name: each.drift for name, each in self.features().items()},
            "diagnoses": self.diagnoses.drift,
            "refused": self.refused.drift,
        }


def summarize(
    seen: Sequence[SeenImage],
    reference: InputReference | None,
    expected: ExpectedDiagnoses | None,
) -> InputSummary:
    """Compare images with what a version was measured on.

    Args:
        seen: the images, the latest last.
        reference: of the version, if it tells.
        expected: how often it names each diagnosis, if that is known.
    """
    unlikeness = [each.unlikeness for each in seen if each.unlikeness is not None]
    named = [each.diagnosis for each in seen if each.accepted and each.diagnosis is not None]
    n = reference.n if reference else 0
    bright = reference.brightness if reference else None
    sharp = reference.sharpness if reference else None
    unlike = reference.unlikeness if reference else None
    return InputSummary(
        images=len(seen),
        since=seen[0].time if seen else None,
        until=seen[-1].time if seen else None,
        reference=None if reference is None else reference.images,
        brightness=_feature([each.brightness for each in seen], bright, n),
        sharpness=_feature([each.sharpness for each in seen], sharp, n),
        unlikeness=_feature(unlikeness, unlike, n),
        diagnoses=_diagnoses(named, expected),
        refused=_refused(sum(not each.accepted for each in seen), len(seen), reference),
    )


def kolmogorov_smirnov(values: npt.NDArray[np.float64], quantiles: Quantiles) -> float:
    """Return the largest difference of two cumulative distributions at the quantiles of one.

    Between two quantiles the difference may be larger, by no more than their levels are apart.

    Args:
        values: a sample, at least one.
        quantiles: of the other distribution.
    """
    places, levels = np.array(quantiles), np.array(LEVELS)
    ordered = np.sort(values)
    up_to = np.searchsorted(ordered, places, "right") / ordered.size
    below = np.searchsorted(ordered, places, "left") / ordered.size
    # Where quantiles are equal, the other distribution jumps.
    upper = levels[np.searchsorted(places, places, "right") - 1]
    lower = levels[np.searchsorted(places, places, "left")]
    return float(max(np.abs(up_to - upper).max(), np.abs(below - lower).max()))


def _feature(values: Sequence[float], quantiles: Quantiles | None, n: int) -> FeatureDrift:
    sample = np.array(values, np.float64)
    median = float(np.median(sample)) if sample.size else None
    if quantiles is None or sample.size < LEAST_IMAGES:
        drift = not_measured(sample.size)
    else:
        drift = distance(kolmogorov_smirnov(sample, quantiles), sample.size, n)
    return FeatureDrift(median, None if quantiles is None else quantiles[_MIDDLE], drift)


def _diagnoses(named: Sequence[int], expected: ExpectedDiagnoses | None) -> DiagnosesDrift:
    counts = np.bincount(np.array(named, np.int64), minlength=len(CODES))
    n = len(named)
    shares = tuple(
        DiagnosisShare(
            code, share(int(count), n), None if expected is None else float(expected.shares[place])
        )
        for place, (code, count) in enumerate(zip(CODES, counts, strict=True))
    )
    if expected is None or n < LEAST_IMAGES:
        return DiagnosesDrift(shares, not_measured(n))
    apart = float(np.abs(counts / n - expected.shares).sum() / 2)
    return DiagnosesDrift(shares, distance(apart, n, expected.n, len(CODES)))


def _refused(refused: int, n: int, reference: InputReference | None) -> RefusedDrift:
    found = share(refused, n)
    if reference is None:
        return RefusedDrift(found, None, not_measured(n))
    expected = reference.refused / reference.n
    if n < LEAST_IMAGES:
        return RefusedDrift(found, expected, not_measured(n))
    return RefusedDrift(found, expected, distance(abs(refused / n - expected), n, reference.n))
