"""An evaluation as sentences and tables, for the terminal, the page and the model card."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rich.table import Table

from lentigo_contract.labels import CODES
from lentigo_trainer.data.ham10000 import join_names
from lentigo_trainer.evaluation.external_test import ExternalTest
from lentigo_trainer.evaluation.referral import Referral
from lentigo_trainer.evaluation.report import EvaluationReport
from lentigo_trainer.evaluation.subgroups import Subgroup
from lentigo_trainer.metrics.bootstrap import Estimate
from lentigo_trainer.reporting.text import (
    by_code_text,
    number_text,
    reasons,
    rows_with_rest,
    share_text,
    threshold_text,
)


@dataclass(frozen=True, slots=True)
class TextTable:
    """A table.

    Attributes:
        title: what it shows.
        head: the names of the columns.
        rows: one cell for each column.
        note: text below the table, such as why metrics are missing.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def laid_out(table: TextTable) -> Table:
    """Lay a table out for a terminal."""
    terminal_table = Table(title=table.title, title_justify="left", caption_justify="left")
    terminal_table.caption = table.note or None
    for name in table.head:
        terminal_table.add_column(name, justify="right" if name == "n" else "left")
    for row in table.rows:
        terminal_table.add_row(*row)
    return terminal_table


def join_notes(texts: Sequence[str]) -> str:
    """Join different sentences with line breaks."""
    return "\n".join(dict.fromkeys(texts))


def subgroup_tables(report: EvaluationReport) -> list[TextTable]:
    """Return a table for each kind of subgroup."""
    return [_subgroups(kind, parts) for kind, parts in (report.subgroups or {}).items()]


def _subgroups(kind: str, parts: dict[str, Subgroup]) -> TextTable:
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
        f"By {kind}",
        (
            kind.capitalize(),
            "n",
            "Accuracy",
            "Always the most frequent",
            "Balanced accuracy",
            "Over classes",
            "Melanoma sensitivity",
            "AUC, malignant",
        ),
        tuple(rows),
        join_notes(missing),
    )


def _or_dash(estimate: Estimate | None, write: Callable[[Estimate], str]) -> str:
    return "-" if estimate is None or estimate.value is None else write(estimate)


def _with_n(estimate: Estimate | None, write: Callable[[Estimate], str]) -> str:
    if estimate is None:
        return "-"
    return f"{_or_dash(estimate, write)}, n = {estimate.n:,}"


_SHOWN_COVERAGES = (0.5, 0.8, 0.9, 0.95, 1.0)


def sentences(report: EvaluationReport) -> Iterator[str]:
    """Describe the model, the images, and how the intervals were computed."""
    model, result = report.subject, report.evaluation
    lesions = "" if report.intervals_over == "images" else f" of {result.lesions:,} lesions"
    yield (
        f"{model.architecture}, trained {model.created[:10]}, asked {model.asked} "
        f"(engine {model.engine}) about {result.examples:,} images{lesions}."
    )
    if result.decided_by == "balanced":
        yield (
            "A diagnosis is decided as if the seven were equally frequent; the most probable one "
            "has rows of its own."
        )
    yield (
        f"Figures in brackets are 95 % intervals by bootstrap over {report.intervals_over} "
        f"({result.resamples:,} resamples)."
    )
    yield overlap_text(report)
    if report.known_duplicates:
        yield duplicates_text(report)
    if report.unlisted:
        yield f"{report.unlisted:,} further images without a truth were left out."
    if model.prevalence_source == "clinic":
        yield (
            "The service moved the probabilities to the prevalence of a clinic, and calibration is "
            "measured at that."
        )
    if report.refused is not None:
        yield (
            f"Refused as unfit, and judged anyway: {share_text(report.refused)} of "
            f"{report.refused.n:,} images."
        )
    if (unchanged := report.unchanged_when_turned) is not None:
        yield (
            "The same diagnosis in eight positions, turned and mirrored: "
            f"{share_text(unchanged)} of {unchanged.n:,} images."
        )


def overlap_text(report: EvaluationReport) -> str:
    """Describe whether any of the images were used to train the model."""
    verdict, _, how = report.overlap.partition(": ")
    if verdict == "none":
        return f"None of them trained it: {how}"
    if verdict == "allowed":
        return f"SOME OF THEM TRAINED IT, which was allowed: {how}"
    return f"Whether any of them trained it was {verdict}: {how}"


def duplicates_text(report: EvaluationReport) -> str:
    """Describe which images show a lesion that trained, under another lesion id."""
    names = report.known_duplicates
    return (
        f"Known duplicates: {len(names):,} of the images show a lesion that is also among the "
        f"training images, under another lesion id: {join_names(names)}. The rows without known "
        "duplicates leave them out."
    )


def overall_table(report: EvaluationReport) -> TextTable:
    """Return the table of the whole classifier's metrics."""
    result = report.evaluation
    return TextTable(
        "All diagnoses",
        ("Figure", "Value (95 % interval)", "n", f"Always {result.majority}"),
        tuple(rows_with_rest(result)),
        "\n".join(reasons(result)),
    )


def text_tables(report: EvaluationReport) -> list[TextTable]:
    """Return every table but the overall one."""
    return [*metric_tables(report), *subgroup_tables(report)]


def metric_tables(report: EvaluationReport) -> list[TextTable]:
    """Return the tables of all images together."""
    tables = [
        _diagnoses(report),
        _predictive_values(report),
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
        tuple((name, f"{estimate.n:,}", write(estimate)) for name, estimate, write in rows),
        join_notes([estimate.reason for _, estimate, _ in rows if estimate.reason]),
    )


def _diagnoses(report: EvaluationReport) -> TextTable:
    rows, missing = [], []
    for code, metrics in report.diagnoses.items():
        shares = (metrics.sensitivity, metrics.specificity)
        numbers = (metrics.f1, metrics.auc)
        n = f"{metrics.sensitivity.n:,}"
        rows.append((code, n, *map(share_text, shares), *map(number_text, numbers)))
        missing += _missing(code, *shares, *numbers)
    return TextTable(
        "Each diagnosis against the rest",
        ("Class", "n", "Sensitivity", "Specificity", "F1", "AUC (0.5 by chance)"),
        tuple(rows),
        join_notes(missing),
    )


def _predictive_values(report: EvaluationReport) -> TextTable:
    """Return PPV, NPV and average precision beside the frequency they depend on."""
    rows, missing = [], []
    total = report.evaluation.examples
    for code, metrics in report.diagnoses.items():
        values = (metrics.ppv, metrics.npv)
        cells = (f"{100 * metrics.sensitivity.n / total:.1f} %", f"{metrics.ppv.n:,}")
        precision = share_text(metrics.average_precision)
        rows.append((code, *cells, *map(share_text, values), precision))
        missing += _missing(code, *values, metrics.average_precision)
    return TextTable(
        "What an answer is worth, where diagnoses are as frequent as here",
        ("Class", "Of the images", "Answers", "PPV", "NPV", "Average precision"),
        tuple(rows),
        join_notes(
            [
                "Guessing has a PPV and an average precision as high as the share of the images.",
                *missing,
            ]
        ),
    )


def _melanoma(report: EvaluationReport) -> TextTable:
    by_sensitivity = report.melanoma_specificity
    return TextTable(
        "Specificity for melanoma at a given sensitivity",
        ("Sensitivity", "n", "Specificity", "By chance"),
        tuple(
            (
                f"{100 * float(sensitivity):.0f} %",
                f"{estimate.n:,}",
                share_text(estimate),
                f"{100 * (1 - float(sensitivity)):.0f} %",
            )
            for sensitivity, estimate in by_sensitivity.items()
        ),
        join_notes([estimate.reason for estimate in by_sensitivity.values() if estimate.reason]),
    )


def _calibration(report: EvaluationReport) -> TextTable:
    calibration = report.calibration
    rows = []
    same = calibration.before == calibration.after
    for name, part in (("before", calibration.before), ("as answered", calibration.after)):
        if part is not None and not (same and name == "before"):
            estimates = (part.expected_calibration_error, part.brier, part.log_loss)
            malignant = part.malignant_calibration_error
            of_malignancy = "-" if malignant is None else number_text(malignant)
            rows.append((name, *map(number_text, estimates), of_malignancy))
    title = "Calibration"
    if calibration.by_diagnosis is not None:
        title += f" ({calibration.method}, {by_code_text(calibration.by_diagnosis)})"
    elif calibration.temperature is not None:
        title += f" ({calibration.method}, {calibration.temperature:.3f})"
    return TextTable(
        title,
        ("Probabilities", "ECE", "Brier, 0 to 2", "Log loss, nats", "ECE of malignancy"),
        tuple(rows),
        join_notes([calibration.reason] if calibration.reason else []),
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


def _referral(referral: Referral) -> TextTable:
    named = [
        ("malignant images referred", referral.sensitivity),
        ("benign images not referred", referral.specificity),
        ("images referred", referral.referred),
        ("melanomas answered with a benign diagnosis", referral.melanomas_called_benign),
        ("of these, referred anyway", referral.called_benign_referred),
        ("answers too unsure to be relied on", referral.unsure),
        ("wrong among the other answers", referral.wrong_when_sure),
    ]
    title = f"Referral from a probability of malignancy of {threshold_text(referral.malignancy)}"
    if referral.abstention is not None:
        title += f", no reliance below {threshold_text(referral.abstention)} for the highest one"
    known = [(name, estimate) for name, estimate in named if estimate is not None]
    return TextTable(
        title,
        ("Share", "n", "Value"),
        tuple((name, f"{estimate.n:,}", share_text(estimate)) for name, estimate in known),
        join_notes([estimate.reason for _, estimate in known if estimate.reason]),
    )


def _missing(code: str, *estimates: Estimate) -> list[str]:
    return [f"{code}: {estimate.reason}" for estimate in estimates if estimate.reason]
