"""Write an evaluation as a page: `index.html`, with its plots and `evaluation.json` beside it.

Text and style are in `templates/evaluation.html.j2`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lentigo_contract.labels import RESEARCH_NOTICE
from lentigo_trainer.evaluation.report import EvaluationReport, write_evaluation_report
from lentigo_trainer.reporting.plots import evaluation_plots
from lentigo_trainer.reporting.rendering import render_html
from lentigo_trainer.reporting.sentences import sentences
from lentigo_trainer.reporting.tables import overall_table, text_tables
from lentigo_trainer.system.storage import write_whole

PAGE_NAME: Final = "index.html"
METRICS_NAME: Final = "evaluation.json"


def write_page(folder: Path, report: EvaluationReport) -> None:
    """Write the page; files of an earlier one are replaced.

    Args:
        folder: where to write; made if missing.
        report: the evaluation.

    Raises:
        StorageError: the disk is full or not writable.
    """
    plots = evaluation_plots(report)
    for name, (_, content) in plots.items():
        write_whole(folder / name, content)
    write_evaluation_report(folder / METRICS_NAME, report)
    text = evaluation_page(report, [(name, caption) for name, (caption, _) in plots.items()])
    write_whole(folder / PAGE_NAME, text.encode())


def evaluation_page(report: EvaluationReport, plots: Sequence[tuple[str, str]]) -> str:
    """Write the page's HTML.

    Args:
        report: the evaluation.
        plots: the file name and the caption of each plot.
    """
    return render_html(
        "evaluation.html.j2",
        report=report,
        notice=RESEARCH_NOTICE,
        sentences=list(sentences(report)),
        overall=overall_table(report),
        plots=plots,
        tables=text_tables(report),
        metrics_name=METRICS_NAME,
    )
