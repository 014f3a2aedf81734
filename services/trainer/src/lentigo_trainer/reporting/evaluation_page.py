"""A scorecard as a page: `index.html`, with its pictures and `evaluation.json` beside it."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Final

from lentigo_contract.labels import RESEARCH_NOTICE
from lentigo_trainer.evaluation.report import EvaluationReport, write_evaluation_report
from lentigo_trainer.reporting.plots import pictures
from lentigo_trainer.reporting.tables import TextTable, sentences, text_tables
from lentigo_trainer.reporting.text import overall_rows, reasons
from lentigo_trainer.system.storage import write_whole

PAGE_NAME: Final = "index.html"
FIGURES_NAME: Final = "evaluation.json"

_STYLE: Final = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 72rem; padding: 1rem }
h1 { font-size: clamp(1.4rem, 5vw, 2rem); line-height: 1.2 }
h2 { font-size: 1.2rem; margin-top: 2rem }
.notice { border-left: 4px solid #d55e00; padding-left: .75rem }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { border-bottom: 1px solid #8886; padding: .25rem 1rem .25rem 0; text-align: left }
th, td { vertical-align: top; white-space: nowrap }
tbody th { background: Canvas; font-weight: normal; left: 0; position: sticky }
@media (max-width: 40rem) { tbody th { min-width: 6rem; white-space: normal } }
.note { color: color-mix(in srgb, CanvasText 75%, Canvas); white-space: pre-line }
.pictures { align-items: start; display: grid; gap: 1rem; margin-top: 1.5rem }
.pictures { grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)) }
img { display: block; height: auto; max-width: 100%; width: 512px }
figure { margin: 0 }
"""


def write_page(folder: Path, card: EvaluationReport) -> None:
    """Write the page; files of an earlier one are replaced.

    Args:
        folder: where to; made if missing.
        card: what was measured.

    Raises:
        StorageError: the disk is full or not writable.
    """
    drawn = pictures(card)
    for name, (_, content) in drawn.items():
        write_whole(folder / name, content)
    write_evaluation_report(folder / FIGURES_NAME, card)
    text = page(card, [(name, words) for name, (words, _) in drawn.items()])
    write_whole(folder / PAGE_NAME, text.encode())


def page(card: EvaluationReport, drawn: Sequence[tuple[str, str]]) -> str:
    """Write the page's text.

    Args:
        card: what was measured.
        drawn: file name of each picture, and what it shows in words.
    """
    subject = card.subject
    heading = f"{subject.name} {subject.version} on {card.images}"
    parts = (
        f"<h1>{escape(heading)}</h1>",
        f'<p class="notice"><strong>{escape(RESEARCH_NOTICE)}</strong></p>',
        *(f"<p>{escape(text)}</p>" for text in sentences(card)),
        _table(_overall(card)),
        f'<div class="pictures">{"".join(_figure(*each) for each in drawn)}</div>',
        *(_table(table) for table in text_tables(card)),
        f"<p>{escape(card.subgroups_reason)}.</p>" if card.subgroups_reason else "",
        f'<p>Every figure is in <a href="{FIGURES_NAME}">{FIGURES_NAME}</a>.</p>',
    )
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(heading)}</title>\n<style>{_STYLE}</style>\n"
        + "\n".join(part for part in parts if part)
        + "\n</html>\n"
    )


def _overall(card: EvaluationReport) -> TextTable:
    result = card.evaluation
    return TextTable(
        "All diagnoses",
        ("Figure", "Value (95 % interval)", "n", f"Always {result.majority}"),
        tuple(overall_rows(result)),
        "\n".join(reasons(result)),
    )


def _table(table: TextTable) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in table.head)
    rows = "\n".join(
        f'<tr><th scope="row">{escape(first)}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in others)
        + "</tr>"
        for first, *others in table.rows
    )
    note = f'<p class="note">{escape(table.note)}</p>' if table.note else ""
    return (
        f'<h2>{escape(table.title)}</h2>\n<div class="wide" tabindex="0"><table>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody></table></div>{note}"
    )


def _figure(name: str, words: str) -> str:
    return f'<figure><img src="{name}" alt="{escape(words)}"></figure>'
