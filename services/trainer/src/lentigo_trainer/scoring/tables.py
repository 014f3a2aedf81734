"""The figures of a scorecard as sentences and tables, for the terminal and for the page."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rich.table import Table

from lentigo_contract.labels import CODES
from lentigo_trainer.evaluation import Figure
from lentigo_trainer.figure_text import number_text, share_text
from lentigo_trainer.scoring.scorecard import Scorecard
from lentigo_trainer.scoring.subgroups import Subgroup

_SHOWN_COVERAGES = (0.5, 0.8, 0.9, 0.95, 1.0)


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
    yield f"Images that trained it: {card.overlap}"
    if card.unlisted:
        yield f"{card.unlisted:,} further images without a truth were left out."
    if card.refused:
        yield (
            f"The service refused {card.refused:,} images as unfit and was told to judge them all "
            "the same."
        )


def text_tables(card: Scorecard) -> list[TextTable]:
    """Give every table that is not already one of `report.tables`."""
    tables = [_diagnoses(card), _melanoma(card), _calibration(card), _coverage(card)]
    if card.subgroups is None:
        return tables
    return [*tables, *(_parts(way, parts) for way, parts in card.subgroups.items())]


def laid_out(table: TextTable) -> Table:
    """Lay a table out for a terminal."""
    laid = Table(title=table.title, title_justify="left", caption_justify="left")
    laid.caption = table.note or None
    for name in table.head:
        laid.add_column(name, justify="right" if name == "n" else "left")
    for row in table.rows:
        laid.add_row(*row)
    return laid


def _diagnoses(card: Scorecard) -> TextTable:
    rows, missing = [], []
    for code, found in card.diagnoses.items():
        shares = (found.sensitivity, found.specificity, found.ppv, found.npv)
        numbers = (found.f1, found.auc, found.average_precision)
        n = f"{found.sensitivity.n:,}"
        rows.append((code, n, *map(share_text, shares), *map(number_text, numbers)))
        missing += [f"{code}: {each.reason}" for each in (*shares, *numbers) if each.reason]
    return TextTable(
        "Each diagnosis against the rest",
        ("Class", "n", "Sensitivity", "Specificity", "PPV", "NPV", "F1", "AUC", "Av. precision"),
        tuple(rows),
        _sentences(missing),
    )


def _melanoma(card: Scorecard) -> TextTable:
    found = card.melanoma_specificity
    return TextTable(
        "Specificity for melanoma at a given sensitivity",
        ("Sensitivity", "n", "Specificity"),
        tuple(
            (f"{100 * float(wanted):.0f} %", f"{figure.n:,}", share_text(figure))
            for wanted, figure in found.items()
        ),
        _sentences([figure.reason for figure in found.values() if figure.reason]),
    )


def _calibration(card: Scorecard) -> TextTable:
    report = card.calibration
    rows = []
    for name, found in (("before", report.before), ("after", report.after)):
        if found is not None:
            figures = (found.expected_calibration_error, found.brier, found.log_loss)
            rows.append((name, *map(number_text, figures)))
    title = "Calibration"
    if report.temperature is not None:
        title += f" ({report.method}, temperature {report.temperature:.3f})"
    return TextTable(
        title,
        ("Probabilities", "ECE", "Brier, 0 to 2", "Log loss, nats"),
        tuple(rows),
        _sentences([report.reason] if report.reason else []),
    )


def _coverage(card: Scorecard) -> TextTable:
    curve = card.risk_coverage
    rows = [
        (f"surest {100 * point.coverage:.0f} %", share_text(point.risk))
        for point in curve.points
        if point.coverage in _SHOWN_COVERAGES
    ]
    rows.append(("mean over all coverages", share_text(curve.area)))
    return TextTable("Risk against coverage", ("Answers", "Wrong among them"), tuple(rows))


def _parts(way: str, parts: dict[str, Subgroup]) -> TextTable:
    rows, missing = [], []
    for name, part in parts.items():
        shares = (part.accuracy, part.balanced_accuracy, part.melanoma_sensitivity)
        cells = (*(_or_dash(each, share_text) for each in shares),)
        over = f"{len(part.averaged_over)} of {len(CODES)}"
        rows.append((name, f"{part.n:,}", *cells, over, _or_dash(part.malignant_auc, number_text)))
        if part.reason:
            missing.append(f"{name}: {part.reason}")
    return TextTable(
        f"By {way}",
        (
            way.capitalize(),
            "n",
            "Accuracy",
            "Balanced accuracy",
            "Melanoma sensitivity",
            "Classes",
            "AUC, malignant",
        ),
        tuple(rows),
        _sentences(missing),
    )


def _or_dash(figure: Figure | None, write: Callable[[Figure], str]) -> str:
    return "-" if figure is None or figure.value is None else write(figure)


def _sentences(texts: Sequence[str]) -> str:
    return "\n".join(dict.fromkeys(texts))
