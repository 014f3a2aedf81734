"""The pictures of a scorecard's page, as PNG bytes; `canvas` says how they are drawn."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import PercentFormatter

from lentigo_trainer.canvas import (
    BLUE,
    FAINT,
    INK,
    SMALL,
    VERMILION,
    blank,
    legend,
    plain,
    png,
    title,
)
from lentigo_trainer.evaluation.bootstrap import Figure
from lentigo_trainer.evaluation.report import Scorecard
from lentigo_trainer.plots import confusion, reliability


def pictures(card: Scorecard) -> dict[str, tuple[str, bytes]]:
    """Draw every picture: file name, what it shows in words, and its bytes."""
    found = {
        "confusion.png": ("Truths against answers", confusion(card.evaluation)),
        "diagnoses.png": ("Sensitivity and specificity of each diagnosis", diagnoses(card)),
        "reliability.png": (
            "Reliability diagram of the answers",
            reliability(card.calibration.after),
        ),
        "risk-coverage.png": ("Risk against coverage", risk_against_coverage(card)),
    }
    before = card.calibration.before
    if before is not None and before != card.calibration.after:
        found["reliability-before.png"] = (
            "Reliability diagram before calibration",
            reliability(before),
        )
    return found


def diagnoses(card: Scorecard) -> bytes:
    """Draw sensitivity and specificity of each diagnosis with their intervals."""
    found = card.diagnoses.values()
    series = (
        ("sensitivity", [each.sensitivity for each in found]),
        ("specificity", [each.specificity for each in found]),
    )
    return png(each_diagnosis(card, series, "Each diagnosis (and how many images)"))


def each_diagnosis(
    card: Scorecard, series: Sequence[tuple[str, Sequence[Figure]]], heading: str
) -> Canvas:
    """Set one or two figures of each diagnosis beside each other, with their intervals.

    Args:
        card: whose diagnoses; how many images each has stands beside it.
        series: a name and a figure for each diagnosis, in the card's order.
        heading: what is seen.
    """
    figure = blank(height=6.0)
    axes = figure.subplots()
    marks = ((-0.12, VERMILION, "o"), (0.12, BLUE, "s"))
    for (name, found), (shift, color, marker) in zip(series, marks, strict=False):
        _dots(axes, found, shift, color, marker, name)
    named = [f"{code} ({found.sensitivity.n:,})" for code, found in card.diagnoses.items()]
    axes.set_yticks(range(len(named)), named)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.02)
    share_axis(axes.xaxis)
    axes.set_xlabel("share, with its 95 % interval", fontsize=SMALL, color=INK)
    plain(axes)
    title(axes, heading)
    legend(figure)
    return figure


def share_axis(axis: Axis) -> None:
    """Write shares, 0..1, as per cent."""
    axis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))


def _dots(
    axes: Axes, figures: Sequence[Figure], shift: float, color: str, marker: str, name: str
) -> None:
    known = [(place, each) for place, each in enumerate(figures) if each.value is not None]
    for place, each in known:
        if each.low is not None and each.high is not None:
            axes.plot((each.low, each.high), (place + shift,) * 2, color=color, linewidth=2)
    axes.plot(
        [each.value or 0.0 for _, each in known],
        [place + shift for place, _ in known],
        color=color,
        marker=marker,
        linestyle="",
        label=name,
    )


def risk_against_coverage(card: Scorecard) -> bytes:
    """Draw the share of wrong answers among the surest ones."""
    curve = card.risk_coverage
    figure = blank(height=5.0)
    axes = figure.subplots()
    covered = [point.coverage for point in curve.points]
    risks = [point.risk for point in curve.points]
    axes.fill_between(
        covered,
        [risk.low or 0.0 for risk in risks],
        [risk.high or 0.0 for risk in risks],
        color=VERMILION,
        alpha=0.2,
        linewidth=0,
        label="95 % interval",
    )
    axes.plot(
        covered,
        [risk.value or 0.0 for risk in risks],
        color=VERMILION,
        marker="s",
        markersize=4,
        linewidth=2,
        label="measured",
    )
    axes.axhline(risks[-1].value or 0.0, color=FAINT, linestyle="--", label="without abstaining")
    axes.set_xlim(0, 1.02)
    axes.set_ylim(bottom=0)
    share_axis(axes.xaxis)
    share_axis(axes.yaxis)
    axes.set_xlabel("coverage: share of the images that are answered", fontsize=SMALL, color=INK)
    axes.set_ylabel("wrong among the answers", fontsize=SMALL, color=INK)
    plain(axes)
    title(axes, f"Risk against coverage: {100 * (curve.area.value or 0.0):.1f} % on average")
    legend(figure)
    return png(figure)
