"""Reliability diagrams: of the answers, and of the probability of malignancy.

`metrics.reliability` computes the bars, and `style` sets how the diagrams look.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from matplotlib.figure import Figure

from lentigo_trainer.errors import MetricError
from lentigo_trainer.evaluation.calibration_report import CalibrationMetrics
from lentigo_trainer.evaluation.report import EvaluationReport
from lentigo_trainer.evaluation.summary import Evaluation
from lentigo_trainer.metrics.bootstrap import Estimate
from lentigo_trainer.metrics.reliability import ReliabilityBin
from lentigo_trainer.reporting.model_card.evidence import Other
from lentigo_trainer.reporting.style import (
    BLUE,
    FAINT,
    GROUND,
    INK,
    SMALL,
    VERMILION,
    blank,
    in_per_cent,
    legend,
    plain,
    png,
    share_axis,
    svg,
    title,
)

FEW: Final = 10
"""Answers below which a point of the reliability diagram is drawn hollow."""

OURS: Final = "this version"
"""What plots call the version that they are of."""


class Calibrated(Protocol):
    """What the reliability diagram is drawn from: an `Evaluation`, or its part on calibration."""

    @property
    def expected_calibration_error(self) -> Estimate:
        """Of all answers."""
        ...

    @property
    def reliability(self) -> Sequence[ReliabilityBin]:
        """The bars."""
        ...


@dataclass(frozen=True, slots=True)
class CalibratedMalignancy:
    """How well P(malignant) is calibrated, in the form of `Calibrated`."""

    expected_calibration_error: Estimate
    reliability: Sequence[ReliabilityBin]


@dataclass(frozen=True, slots=True)
class ReliabilityWords:
    """What a reliability diagram names.

    Attributes:
        event: the share of which is drawn.
        examples: what is counted.
        confidence: the probability it is drawn against.
        below: what it means to lie below the diagonal.
    """

    event: str
    examples: str
    confidence: str
    below: str


OF_ANSWERS: Final = ReliabilityWords(
    "share of right answers", "answers", "confidence: probability of the answer", "too sure"
)
OF_MALIGNANCY: Final = ReliabilityWords(
    "share of malignant images", "images", "probability of malignancy", "too high"
)


def malignancy_of(found: CalibrationMetrics | Evaluation) -> CalibratedMalignancy:
    """Return what the diagram of P(malignant) is drawn from.

    Raises:
        MetricError: a report of an older release, which did not measure it.
    """
    if found.malignant_calibration_error is None:
        raise MetricError("The calibration of malignancy was not measured; evaluate again.")
    return CalibratedMalignancy(found.malignant_calibration_error, found.malignant_reliability)


def reliability(evaluation: Calibrated, words: ReliabilityWords = OF_ANSWERS) -> bytes:
    """Draw the share of right answers against the confidence, and how many answers had it."""
    bars = evaluation.reliability
    # A line through points of a few answers would jump about and catch the eye most.
    solid = [bar for bar in bars if bar.n >= FEW]
    scarce = [bar for bar in bars if 0 < bar.n < FEW]
    figure = blank(height=8.0)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    top.plot((0, 1), (0, 1), color=FAINT, linestyle="--", label="as sure as right")
    top.plot(
        [bar.confidence or 0.0 for bar in solid],
        [bar.accuracy or 0.0 for bar in solid],
        color=VERMILION,
        marker="s",
        linewidth=2,
        label="measured",
    )
    if scarce:
        top.plot(
            [bar.confidence or 0.0 for bar in scarce],
            [bar.accuracy or 0.0 for bar in scarce],
            color=VERMILION,
            marker="s",
            linestyle="",
            markerfacecolor=GROUND,
            zorder=3,
            label=f"fewer than {FEW} {words.examples}",
        )
    bottom.bar(
        [bar.low for bar in bars],
        [bar.n for bar in bars],
        width=1 / len(bars),
        align="edge",
        color=BLUE,
        alpha=0.35,
        edgecolor=BLUE,
    )
    error = evaluation.expected_calibration_error
    title(top, f"Calibration error {error.value:.3f} (below the dashes: {words.below})")
    top.set_ylabel(words.event, fontsize=SMALL, color=INK)
    bottom.set_ylabel(words.examples, fontsize=SMALL, color=INK)
    bottom.set_xlabel(words.confidence, fontsize=SMALL, color=INK)
    top.set_ylim(0, 1.02)
    top.set_xlim(0, 1.02)
    in_per_cent(top.yaxis)
    in_per_cent(bottom.xaxis)
    for axes in (top, bottom):
        plain(axes)
    legend(figure)
    return png(figure)


def reliability_beside(ours: EvaluationReport, other: Other | None = None) -> bytes:
    """Draw the share of right answers against the confidence, of one version or of both."""
    series: list[tuple[str, Calibrated]] = [(OURS, ours.calibration.after)]
    if other is not None:
        series.append((other.label, other.figures.calibration.after))
    heading = f"Calibration (points of {FEW} answers or more)"
    return svg(_reliabilities(series, OF_ANSWERS, heading))


def malignancy(ours: EvaluationReport, other: Other | None = None) -> bytes:
    """Draw the share of malignant images against P(malignant), of one version or of both.

    Raises:
        MetricError: see `malignancy_of`; another version that was not measured is left out.
    """
    series: list[tuple[str, Calibrated]] = [(OURS, malignancy_of(ours.calibration.after))]
    if other is not None:
        theirs = other.figures.calibration.after
        if theirs.malignant_calibration_error is not None:
            series.append((other.label, malignancy_of(theirs)))
    heading = f"Calibration of malignancy (points of {FEW} images or more)"
    return svg(_reliabilities(series, OF_MALIGNANCY, heading))


def _reliabilities(
    series: Sequence[tuple[str, Calibrated]], words: ReliabilityWords, heading: str
) -> Figure:
    """Draw one or two reliability diagrams into one figure."""
    figure = blank(height=5.6)
    axes = figure.subplots()
    axes.plot((0, 1), (0, 1), color=FAINT, linestyle="--", label="as sure as right")
    for (name, found), (color, marker) in zip(
        series, ((VERMILION, "o"), (BLUE, "s")), strict=False
    ):
        # A point of a few answers says nothing and would catch the eye most.
        bars = [bar for bar in found.reliability if bar.n >= FEW]
        error = found.expected_calibration_error.value or 0.0
        axes.plot(
            [bar.confidence or 0.0 for bar in bars],
            [bar.accuracy or 0.0 for bar in bars],
            color=color,
            marker=marker,
            linewidth=2,
            label=f"{name}: error {error:.3f}",
        )
    axes.set_xlim(0, 1.02)
    share_axis(axes.xaxis)
    share_axis(axes.yaxis)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel(words.confidence, fontsize=SMALL, color=INK)
    axes.set_ylabel(words.event, fontsize=SMALL, color=INK)
    plain(axes)
    title(axes, heading)
    legend(figure, columns=2)
    return figure
