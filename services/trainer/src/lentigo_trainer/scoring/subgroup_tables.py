"""The figures of parts of the images as tables."""

from collections.abc import Callable

from lentigo_contract.labels import CODES
from lentigo_trainer.evaluation.bootstrap import Figure
from lentigo_trainer.evaluation.report import Scorecard
from lentigo_trainer.evaluation.subgroups import Subgroup
from lentigo_trainer.figure_text import number_text, share_text
from lentigo_trainer.scoring.text_table import TextTable, noted


def subgroup_tables(card: Scorecard) -> list[TextTable]:
    """Give the tables of parts of the images."""
    return [_parts(way, parts) for way, parts in (card.subgroups or {}).items()]


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


def _or_dash(figure: Figure | None, write: Callable[[Figure], str]) -> str:
    return "-" if figure is None or figure.value is None else write(figure)


def _with_n(figure: Figure | None, write: Callable[[Figure], str]) -> str:
    if figure is None:
        return "-"
    return f"{_or_dash(figure, write)}, n = {figure.n:,}"
