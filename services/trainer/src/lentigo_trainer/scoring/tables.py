"""The figures of a scorecard as sentences and tables, for the terminal and for the page."""

from collections.abc import Iterator

from lentigo_trainer.evaluation.bootstrap import Figure
from lentigo_trainer.evaluation.referral import Referral
from lentigo_trainer.evaluation.report import Scorecard
from lentigo_trainer.figure_text import number_text, share_text, temperatures_text, threshold_text
from lentigo_trainer.scoring.subgroup_tables import subgroup_tables
from lentigo_trainer.scoring.text_table import TextTable, noted

_SHOWN_COVERAGES = (0.5, 0.8, 0.9, 0.95, 1.0)


def sentences(card: Scorecard) -> Iterator[str]:
    """Say what was measured, on what, and how the intervals were made."""
    subject, result = card.subject, card.evaluation
    lesions = "" if card.intervals_over == "images" else f" of {result.lesions:,} lesions"
    yield (
        f"{subject.architecture}, trained {subject.created[:10]}, asked {subject.asked} "
        f"(engine {subject.engine}) about {result.examples:,} images{lesions}."
    )
    yield (
        f"Figures in brackets are 95 % intervals by bootstrap over {card.intervals_over} "
        f"({result.resamples:,} resamples)."
    )
    yield overlap_text(card)
    if card.unlisted:
        yield f"{card.unlisted:,} further images without a truth were left out."
    if card.refused is not None:
        yield (
            f"Refused as unfit, and judged all the same: {share_text(card.refused)} of "
            f"{card.refused.n:,} images."
        )


def overlap_text(card: Scorecard) -> str:
    """Say whether any of the images trained what was measured."""
    found, _, how = card.overlap.partition(": ")
    if found == "none":
        return f"None of them trained it: {how}"
    return f"Whether any of them trained it was {found}: {how}"


def text_tables(card: Scorecard) -> list[TextTable]:
    """Give every table that is not already one of `report.tables`."""
    return [*figure_tables(card), *subgroup_tables(card)]


def figure_tables(card: Scorecard) -> list[TextTable]:
    """Give the tables of all images together."""
    tables = [_diagnoses(card), _worth(card), _melanoma(card), _calibration(card), _coverage(card)]
    return tables if card.referral is None else [*tables, _referral(card.referral)]


def _diagnoses(card: Scorecard) -> TextTable:
    rows, missing = [], []
    for code, found in card.diagnoses.items():
        shares = (found.sensitivity, found.specificity)
        numbers = (found.f1, found.auc)
        n = f"{found.sensitivity.n:,}"
        rows.append((code, n, *map(share_text, shares), *map(number_text, numbers)))
        missing += _missing(code, *shares, *numbers)
    return TextTable(
        "Each diagnosis against the rest",
        ("Class", "n", "Sensitivity", "Specificity", "F1", "AUC (0.5 by chance)"),
        tuple(rows),
        noted(missing),
    )


def _worth(card: Scorecard) -> TextTable:
    """Put what depends on how frequent a diagnosis is beside that frequency."""
    rows, missing = [], []
    total = card.evaluation.examples
    for code, found in card.diagnoses.items():
        values = (found.ppv, found.npv)
        cells = (f"{100 * found.sensitivity.n / total:.1f} %", f"{found.ppv.n:,}")
        precision = share_text(found.average_precision)
        rows.append((code, *cells, *map(share_text, values), precision))
        missing += _missing(code, *values, found.average_precision)
    return TextTable(
        "What an answer is worth, where diagnoses are as frequent as here",
        ("Class", "Of the images", "Answers", "PPV", "NPV", "Average precision"),
        tuple(rows),
        noted(
            [
                "Guessing has a PPV and an average precision as high as the share of the images.",
                *missing,
            ]
        ),
    )


def _melanoma(card: Scorecard) -> TextTable:
    found = card.melanoma_specificity
    return TextTable(
        "Specificity for melanoma at a given sensitivity",
        ("Sensitivity", "n", "Specificity", "By chance"),
        tuple(
            (
                f"{100 * float(wanted):.0f} %",
                f"{figure.n:,}",
                share_text(figure),
                f"{100 * (1 - float(wanted)):.0f} %",
            )
            for wanted, figure in found.items()
        ),
        noted([figure.reason for figure in found.values() if figure.reason]),
    )


def _calibration(card: Scorecard) -> TextTable:
    report = card.calibration
    rows = []
    same = report.before == report.after
    for name, found in (("before", report.before), ("as answered", report.after)):
        if found is not None and not (same and name == "before"):
            figures = (found.expected_calibration_error, found.brier, found.log_loss)
            rows.append((name, *map(number_text, figures)))
    title = "Calibration"
    if report.by_diagnosis is not None:
        title += f" ({report.method}, {temperatures_text(report.by_diagnosis)})"
    elif report.temperature is not None:
        title += f" ({report.method}, {report.temperature:.3f})"
    return TextTable(
        title,
        ("Probabilities", "ECE", "Brier, 0 to 2", "Log loss, nats"),
        tuple(rows),
        noted([report.reason] if report.reason else []),
    )


def _coverage(card: Scorecard) -> TextTable:
    curve = card.risk_coverage
    rows = [
        (f"surest {100 * point.coverage:.0f} %", f"{point.risk.n:,}", share_text(point.risk))
        for point in curve.points
        if point.coverage in _SHOWN_COVERAGES
    ]
    rows.append(("mean over all coverages", f"{curve.area.n:,}", share_text(curve.area)))
    return TextTable("Risk against coverage", ("Answers", "n", "Wrong among them"), tuple(rows))


def _referral(found: Referral) -> TextTable:
    named = [
        ("malignant images referred", found.sensitivity),
        ("benign images not referred", found.specificity),
        ("images referred", found.referred),
        ("melanomas answered with a benign diagnosis", found.melanomas_called_benign),
        ("of these, referred all the same", found.called_benign_referred),
        ("answers too unsure to be relied on", found.unsure),
        ("wrong among the other answers", found.wrong_when_sure),
    ]
    title = f"Referral from a probability of malignancy of {threshold_text(found.malignancy)}"
    if found.abstention is not None:
        title += f", no reliance below {threshold_text(found.abstention)} for the answer"
    known = [(name, figure) for name, figure in named if figure is not None]
    return TextTable(
        title,
        ("Share", "n", "Value"),
        tuple((name, f"{figure.n:,}", share_text(figure)) for name, figure in known),
        noted([figure.reason for _, figure in known if figure.reason]),
    )


def _missing(code: str, *figures: Figure) -> list[str]:
    return [f"{code}: {figure.reason}" for figure in figures if figure.reason]
