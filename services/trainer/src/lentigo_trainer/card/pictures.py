"""The pictures beside a model card, as SVG; `canvas` says how they are drawn."""

from collections.abc import Sequence

from lentigo_trainer.canvas import (
    BLUE,
    FAINT,
    INK,
    SMALL,
    VERMILION,
    blank,
    legend,
    plain,
    svg,
    title,
)
from lentigo_trainer.card.evidence import Other
from lentigo_trainer.evaluation.report import Scorecard
from lentigo_trainer.plots import FEW
from lentigo_trainer.scoring.pictures import each_diagnosis, share_axis

_OURS = "this version"


def sensitivities(ours: Scorecard, other: Other | None = None) -> bytes:
    """Draw the sensitivity for each diagnosis, beside that of another version if there is one."""
    series = [(_OURS, [each.sensitivity for each in ours.diagnoses.values()])]
    if other is not None:
        beside = [each.sensitivity for each in other.figures.diagnoses.values()]
        series.append((other.label, beside))
    return svg(each_diagnosis(ours, series, "Sensitivity for each diagnosis (and n)"))


def reliability_beside(ours: Scorecard, other: Other | None = None) -> bytes:
    """Draw the share of right answers against the confidence, of one version or of both."""
    figure = blank(height=5.6)
    axes = figure.subplots()
    axes.plot((0, 1), (0, 1), color=FAINT, linestyle="--", label="as sure as right")
    series: Sequence[tuple[str, Scorecard, str, str]] = [(_OURS, ours, VERMILION, "o")]
    if other is not None:
        series = [*series, (other.label, other.figures, BLUE, "s")]
    for name, card, color, marker in series:
        after = card.calibration.after
        # A point of a few answers says nothing and would catch the eye most.
        bars = [bar for bar in after.reliability if bar.n >= FEW]
        error = after.expected_calibration_error.value or 0.0
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
    axes.set_xlabel("confidence: probability of the answer", fontsize=SMALL, color=INK)
    axes.set_ylabel("share of right answers", fontsize=SMALL, color=INK)
    plain(axes)
    title(axes, f"Calibration (points of {FEW} answers or more)")
    legend(figure, columns=2)
    return svg(figure)
