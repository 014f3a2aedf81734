"""`lentigo-train compare`: what out-of-fold answers are worth, and which recipe's are better."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from lentigo_contract.labels import RESEARCH_NOTICE, index_of
from lentigo_contract.wording import pluralize
from lentigo_trainer.cli.common.options import SourceOption


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
    from lentigo_trainer.data.duplicates.known import merged_lesions  # noqa: PLC0415
    from lentigo_trainer.data.ham10000 import find_source, read_metadata  # noqa: PLC0415
    from lentigo_trainer.data.out_of_fold import ANSWERS_NAME, read_answers  # noqa: PLC0415
    from lentigo_trainer.reporting.text import (  # noqa: PLC0415
        out_of_fold_difference,
        out_of_fold_name,
        out_of_fold_text,
    )

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
    difference = None if theirs is None else measure(answers[0], answers[1], labels, lesions)
    shown = lesions[answers[0].rows]
    images = pluralize(len(shown), "image")
    of_lesions = pluralize(len(np.unique(shown)), "lesion")
    table = Table(title=f"Out of fold: {images} of {of_lesions}")
    table.add_column("Metric (95 % interval, by lesion)")
    for file in files:
        table.add_column(file.parent.name if file.name == ANSWERS_NAME else file.name)
    if difference is not None:
        table.add_column("Difference")
    for name in columns[0]:
        cells = [out_of_fold_text(name, column[name]) for column in columns]
        if difference is not None:
            cells.append(out_of_fold_difference(name, difference[name]))
        table.add_row(out_of_fold_name(name), *cells)
    console = Console()
    console.print(table)
    console.print(
        "Each answer is from a network that never saw the lesion; calibration, decision and "
        "referral are fitted on the other folds. Unless a row says otherwise, the diagnosis is "
        "decided for balance."
    )
    console.print(RESEARCH_NOTICE)
