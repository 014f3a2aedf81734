"""An evaluation as sentences and tables, for the terminal, the page and the model card."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rich.table import Table

from lentigo_contract.labels import CODES
from lentigo_trainer.evaluation.external_test import ExternalTest
from lentigo_trainer.evaluation.referral import Referral
from lentigo_trainer.evaluation.report import EvaluationReport
from lentigo_trainer.evaluation.subgroups import Subgroup
from lentigo_trainer.metrics.bootstrap import Estimate
from lentigo_trainer.reporting.text import (
    number_text,
    overall_rows,
    reasons,
    share_text,
    temperatures_text,
    threshold_text,
)


@dataclass(frozen=True, slots=True)
class TextTable:
    """A table.

    Attributes:
        title: what it shows.
        head: the columns' names.
        rows: as many cells each.
        note: what else is to be said, such as why figures are missing.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def laid_out(table: TextTable) -> Table:
    """Lay a table out for a terminal."""
    laid = Table(title=table.title, title_justify="left", caption_justify="left")
    laid.caption = table.note or None
    for name in table.head:
        laid.add_column(name, justify="right" if name == "n" else "left")
    for row in table.rows:
        laid.add_row(*row)
    return laid


def noted(texts: Sequence[str]) -> str:
    """Join sentences with line breaks, each once."""
    return "\n".join(dict.fromkeys(texts))


def subgroup_tables(report: EvaluationReport) -> list[TextTable]:
    """Return the tables of subgroups of the images."""
    return [_parts(way, parts) for way, parts in (report.subgroups or {}).items()]


def _parts(way: str, parts: dict[str, Subgroup]) -> TextTable:
    rows, missing = [], []
    for name, part in parts.items():
        over = f"{len(part.averaged_over)} of {len(CODES)}"
        shares = (part.accuracy, part.majority_baseline, part.balanced_accuracy)
        cells = [_or_dash(each, share_text) for each in shares]
        melanomas = _with_n(part.melanoma_sensitivity, share_text)
        malignant = _with_n(part.malignant_auc, number_text)
        rows.append((name, f"{part.n:,}", *cells, over, melanomas, malignant))
        if part.reason:
            missing.append(f"{name}: {part.reason}")
    return TextTable(
        f"By {way}",
        (
            way.capitalize(),
            "n",
            "Accuracy",
            "Always the most frequent",
            "Balanced accuracy",
            "Over classes",
            "Melanoma sensitivity",
            "AUC, malignant",
        ),
        tuple(rows),
        noted(missing),
    )


def _or_dash(figure: Estimate | None, write: Callable[[Estimate], str]) -> str:
    return "-" if figure is None or figure.value is None else write(figure)


def _with_n(figure: Estimate | None, write: Callable[[Estimate], str]) -> str:
    if figure is None:
        return "-"
    return f"{_or_dash(figure, write)}, n = {figure.n:,}"


_SHOWN_COVERAGES = (0.5, 0.8, 0.9, 0.95, 1.0)


def sentences(report: EvaluationReport) -> Iterator[str]:
    """Describe what was evaluated, on which images, and how the intervals were made."""
    subject, result = report.subject, report.evaluation
    lesions = "" if report.intervals_over == "images" else f" of {result.lesions:,} lesions"
    yield (
        f"{subject.architecture}, trained {subject.created[:10]}, asked {subject.asked} "
        f"(engine {subject.engine}) about {result.examples:,} images{lesions}."
    )
    yield (
        f"Figures in brackets are 95 % intervals by bootstrap over {report.intervals_over} "
        f"({result.resamples:,} resamples)."
    )
    yield overlap_text(report)
    if report.unlisted:
        yield f"{report.unlisted:,} further images without a truth were left out."
    if report.refused is not None:
        yield (
            f"Refused as unfit, and judged all the same: {share_text(report.refused)} of "
            f"{report.refused.n:,} images."
        )


def overlap_text(report: EvaluationReport) -> str:
    """Describe whether any of the images trained the evaluated model."""
    found, _, how = report.overlap.partition(": ")
    if found == "none":
        return f"None of them trained it: {how}"
    return f"Whether any of them trained it was {found}: {how}"


def overall_table(report: EvaluationReport) -> TextTable:
    """Return the table of the whole classifier's metrics."""
    result = report.evaluation
    return TextTable(
        "All diagnoses",
        ("Figure", "Value (95 % interval)", "n", f"Always {result.majority}"),
        tuple(overall_rows(result)),
        "\n".join(reasons(result)),
    )


def text_tables(report: EvaluationReport) -> list[TextTable]:
    """Return every table that is not one of `report.tables`."""
    return [*metric_tables(report), *subgroup_tables(report)]


def metric_tables(report: EvaluationReport) -> list[TextTable]:
    """Return the tables of all images together."""
    tables = [
        _diagnoses(report),
        _worth(report),
        _melanoma(report),
        _calibration(report),
        _coverage(report),
    ]
    if report.external is not None:
        tables.insert(0, _external(report, report.external))
    return tables if report.referral is None else [*tables, _referral(report.referral)]


def _external(report: EvaluationReport, found: ExternalTest) -> TextTable:
    rows = [
        ("AUC, melanoma against the rest", report.diagnoses["mel"].auc, number_text),
        ("calibration error of P(malignant)", found.malignancy_calibration_error, number_text),
    ]
    if report.referral is not None:
        rows += [
            ("malignant images referred", report.referral.sensitivity, share_text),
            ("benign images not referred", report.referral.specificity, share_text),
        ]
    return TextTable(
        f"External test on {found.set_name}, which knows {', '.join(found.classes)}",
        ("Figure", "n", "Value"),
        tuple((name, f"{figure.n:,}", write(figure)) for name, figure, write in rows),
        noted([figure.reason for _, figure, _ in rows if figure.reason]),
    )


def _diagnoses(report: EvaluationReport) -> TextTable:
    rows, missing = [], []
    for code, found in report.diagnoses.items():
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


def _worth(report: EvaluationReport) -> TextTable:
    """Show what depends on the frequency of a diagnosis beside that frequency."""
    rows, missing = [], []
    total = report.evaluation.examples
    for code, found in report.diagnoses.items():
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


def _melanoma(report: EvaluationReport) -> TextTable:
    found = report.melanoma_specificity
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


def _calibration(report: EvaluationReport) -> TextTable:
    calibration = report.calibration
    rows = []
    same = calibration.before == calibration.after
    for name, found in (("before", calibration.before), ("as answered", calibration.after)):
        if found is not None and not (same and name == "before"):
            figures = (found.expected_calibration_error, found.brier, found.log_loss)
            rows.append((name, *map(number_text, figures)))
    title = "Calibration"
    if calibration.by_diagnosis is not None:
        title += f" ({calibration.method}, {temperatures_text(calibration.by_diagnosis)})"
    elif calibration.temperature is not None:
        title += f" ({calibration.method}, {calibration.temperature:.3f})"
    return TextTable(
        title,
        ("Probabilities", "ECE", "Brier, 0 to 2", "Log loss, nats"),
        tuple(rows),
        noted([calibration.reason] if calibration.reason else []),
    )


def _coverage(report: EvaluationReport) -> TextTable:
    curve = report.risk_coverage
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


def _missing(code: str, *figures: Estimate) -> list[str]:
    return [f"{code}: {figure.reason}" for figure in figures if figure.reason]
