"""The summary of a run as one HTML page, with its plots inside: bars in SVG, drawn here.

The page loads nothing from anywhere and has no script.
"""

from collections.abc import Sequence
from html import escape
from typing import Final

from lentigo_contract.labels import DIAGNOSES, RESEARCH_NOTICE
from lentigo_inference.scoring.rows import AnsweredBy
from lentigo_inference.scoring.summary import BINS, Summary

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #16232a; --soft: #50616a; --ground: #fff; --bar: #3f7f8a;
  --alert: #b85b14; --line: #d5dde0; font: 16px/1.5 system-ui, sans-serif; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eef0; --soft: #a5b5bc; --ground: #12181c;
  --bar: #5fa9b5; --alert: #e79a55; --line: #35434a; } }
body { margin: 0 auto; max-width: 56rem; padding: 2rem 1rem; color: var(--ink);
  background: var(--ground); }
.notice { font-weight: 600; color: var(--alert); }
table { border-collapse: collapse; } td, th { padding: .2rem .8rem .2rem 0; text-align: left;
  border-bottom: 1px solid var(--line); } td + td, th + th { text-align: right; }
td.path { overflow-wrap: anywhere; text-align: left; } .soft { color: var(--soft); }
svg { width: 100%; height: auto; } svg text { fill: var(--ink); font-size: 13px; }
svg .bar { fill: var(--bar); } svg .alert { fill: var(--alert); } svg line { stroke: var(--soft); }
"""

_CAUTION: Final = (
    "What a network says of an archive is not how frequent a diagnosis is in it: shares of "
    "predictions are not prevalences."
)

_WIDTH: Final = 800
_LABEL: Final = 420
_ROW: Final = 26
_HEIGHT: Final = 200
_BELOW: Final = 40


def summary_page(summary: Summary, answered_by: AnsweredBy, source: str, timing: str) -> str:
    """Return the page.

    Args:
        summary: of all rows.
        answered_by: model and engine.
        source: what was scored.
        timing: how long it took, as a sentence.
    """
    sections = [
        f"<h1>{summary.images:,} images scored</h1>",
        f'<p class="notice">{RESEARCH_NOTICE}</p>',
        _table(
            "",
            [
                ("Source", source),
                ("Model version", str(answered_by.model_version)),
                ("Digest of its manifest (SHA-256)", answered_by.model_sha256),
                ("Engine", answered_by.engine),
                ("Referred from P(malignant)", f"{answered_by.malignancy_threshold:.4g}"),
            ],
        ),
        f'<p class="soft">{escape(timing)}</p>',
        _table(
            "Images",
            [
                ("With a diagnosis", _share(summary.answered, summary.images)),
                ("That cannot be judged", _share(summary.refused, summary.images)),
                ("Without an answer", _share(summary.failed, summary.images)),
                ("That a physician should see", _share(summary.refer, summary.images)),
            ],
        ),
        "<h2>Diagnosis</h2>",
        _diagnoses(summary),
        "<h2>P(malignant)</h2>",
        _histogram(summary.malignancy, answered_by.malignancy_threshold),
        _counts("Why to refer", summary.refer_reasons),
        _counts("Why an image cannot be judged", summary.refusals),
        _counts("Why there is no answer", summary.errors),
        f'<p class="soft">{_CAUTION}</p>',
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>Lentigo: {summary.images:,} images</title><style>{_STYLE}</style></head>\n<body>"
        + "\n".join(section for section in sections if section)
        + "</body></html>\n"
    )


def _share(count: int, of: int) -> str:
    return f"{count:,} ({100 * count / of:.1f} %)" if of else "0"


def _table(heading: str, rows: Sequence[tuple[str, str]]) -> str:
    lines = "".join(
        f'<tr><td>{escape(name)}</td><td class="path">{escape(value)}</td></tr>'
        for name, value in rows
    )
    return (f"<h2>{heading}</h2>" if heading else "") + f"<table>{lines}</table>"


def _counts(heading: str, counts: dict[str, int]) -> str:
    rows = [(name, f"{count:,}") for name, count in sorted(counts.items()) if count]
    return _table(heading, rows) if rows else ""


def _diagnoses(summary: Summary) -> str:
    most = max([*summary.diagnoses.values(), 1])
    bars = []
    for place, each in enumerate(DIAGNOSES):
        count = summary.diagnoses[each.code]
        length = round((_WIDTH - _LABEL - 160) * count / most)
        kind = "alert" if each.malignant else "bar"
        middle = place * _ROW + 17
        bars.append(
            f'<text x="{_LABEL - 10}" y="{middle}" text-anchor="end">{escape(each.name)}'
            f"{' (malignant)' if each.malignant else ''}</text>"
            f'<rect class="{kind}" x="{_LABEL}" y="{place * _ROW + 4}" width="{length}" '
            f'height="{_ROW - 8}"/><text x="{_LABEL + length + 6}" y="{middle}">'
            f"{_share(count, summary.answered)}</text>"
        )
    return _svg(len(DIAGNOSES) * _ROW, "Images by decided diagnosis", "".join(bars))


def _histogram(counts: Sequence[int], threshold: float) -> str:
    most = max([*counts, 1])
    wide = _WIDTH / BINS
    bars = []
    for place, count in enumerate(counts):
        high = _HEIGHT * count / most
        kind = "alert" if place / BINS >= threshold else "bar"
        bars.append(
            f'<rect class="{kind}" x="{place * wide + 1:.0f}" y="{_HEIGHT + 16 - high:.1f}" '
            f'width="{wide - 2:.0f}" height="{high:.1f}">'
            f"<title>{place / BINS:.2f} to {(place + 1) / BINS:.2f}: {count:,}</title></rect>"
        )
    x = _WIDTH * threshold
    base = _HEIGHT + 34
    bars.append(
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{_HEIGHT + 16}" stroke-dasharray="4 3"/>'
        f'<text x="{x + 5:.1f}" y="12">threshold {threshold:.3g}</text>'
        f'<text x="0" y="{base}">0</text>'
        f'<text x="{_WIDTH / 2:.0f}" y="{base}" text-anchor="middle">P(malignant), highest bar '
        f'{most:,} images</text><text x="{_WIDTH}" y="{base}" text-anchor="end">1</text>'
    )
    return _svg(_HEIGHT + _BELOW, "Images by probability of malignancy", "".join(bars))


def _svg(height: int, title: str, content: str) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{content}</svg>"
    )
