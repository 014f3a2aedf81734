"""`lentigo-train compare`: what out-of-fold answers are worth, and which recipe's are better."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from lentigo_contract.labels import RESEARCH_NOTICE, index_of
from lentigo_trainer.cli.options import SourceOption


def compare(
    ours: Annotated[
        Path, typer.Argument(help="File of out-of-fold answers, from the folder of a run.")
    ],
    source: SourceOption,
    theirs: Annotated[
        Path | None,
        typer.Argument(help="The same of another recipe, to compare with.", show_default=False),
    ] = None,
) -> None:
    """Measure a recipe by its out-of-fold answers, or compare two image by image."""
    import numpy as np  # noqa: PLC0415 - see cli

    from lentigo_trainer.calibration.cross_validation import (  # noqa: PLC0415
        common_rows,
        cross_validate,
        measure,
    )
    from lentigo_trainer.calibration.out_of_fold import read_answers  # noqa: PLC0415
    from lentigo_trainer.data.duplicates.known import merged_lesions  # noqa: PLC0415
    from lentigo_trainer.data.ham10000 import find_source, read_metadata  # noqa: PLC0415
    from lentigo_trainer.reporting.text import number_text  # noqa: PLC0415

    records = read_metadata(find_source(source).metadata)
    names = records["image_id"].to_numpy(str)
    labels = np.array([index_of(code) for code in records["dx"]])
    lesions = merged_lesions(records)
    files = [ours] if theirs is None else [ours, theirs]
    answers = [cross_validate(read_answers(file, names), labels, lesions) for file in files]
    if theirs is not None:
        rows = common_rows(*answers)
        answers = [each.only(rows) for each in answers]
    columns = [measure(each, None, labels, lesions) for each in answers]
    if theirs is not None:
        columns.append(measure(answers[0], answers[1], labels, lesions))
    shown = lesions[answers[0].rows]
    table = Table(title=f"Out of fold: {len(shown):,} images of {len(np.unique(shown)):,} lesions")
    for title in ("Metric (95 % interval, by lesion)", *(file.parent.name for file in files)):
        table.add_column(title)
    if theirs is not None:
        table.add_column("Difference")
    for name in columns[0]:
        table.add_row(name.replace("_", " "), *(number_text(column[name]) for column in columns))
    console = Console()
    console.print(table)
    console.print(
        "Each answer is from a network that never saw the lesion; calibration, decision and "
        'referral are fitted on the other folds. Without "probable": decided for balance.'
    )
    console.print(RESEARCH_NOTICE)
