"""`lentigo-train card`: parse, read the evaluations, write the card and its pictures."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from lentigo_contract.labels import RESEARCH_NOTICE

if TYPE_CHECKING:
    from lentigo_trainer.reporting.model_card.evidence import Evidence, Other


PLOTS_FOLDER: Final = "images"


def card(
    model: Annotated[
        Path,
        typer.Option(
            help="The published version that the card is of, such as models/lentigo/6, or a "
            "repository's newest."
        ),
    ],
    evaluation: Annotated[
        Path,
        typer.Option(
            help="Its metrics on the images that the card shows first, from `evaluate --json`; "
            "with --answers, to compare it with another version."
        ),
    ],
    to: Annotated[Path, typer.Option(help="Where to write the card, such as docs/model-card.md.")],
    also: Annotated[
        list[Path] | None,
        typer.Option(
            help="Its metrics on further images; may be given several times.", show_default=False
        ),
    ] = None,
    beside: Annotated[
        list[str] | None,
        typer.Option(
            help="Another version's metrics on any of these sets of images, as FILE or NAME=FILE; "
            "may be given several times.",
            show_default=False,
        ),
    ] = None,
    pictures: Annotated[
        bool,
        typer.Option(
            help=f"Also draw sensitivity and calibration, into the folder {PLOTS_FOLDER} "
            "beside the card."
        ),
    ] = True,
) -> None:
    """Write a version's model card from its evaluations."""
    from lentigo_trainer.evaluation.evaluate import open_version  # noqa: PLC0415
    from lentigo_trainer.evaluation.report import read_evaluation_report  # noqa: PLC0415
    from lentigo_trainer.reporting.model_card.card import model_card  # noqa: PLC0415
    from lentigo_trainer.reporting.model_card.evidence import validate_evidence  # noqa: PLC0415 - see cli
    from lentigo_trainer.system.storage import write_whole  # noqa: PLC0415

    evidence = validate_evidence(
        open_version(model).manifest,
        read_evaluation_report(evaluation),
        [read_evaluation_report(each) for each in also or ()],
        [_other(each) for each in beside or ()],
    )
    drawn = _drawn(evidence) if pictures else {}
    shown = []
    for name, (words, content) in drawn.items():
        address = Path(PLOTS_FOLDER, f"{to.stem}-{name}.svg")
        write_whole(to.parent / address, content)
        shown.append((address.as_posix(), words))
    text = model_card(evidence, shown)
    write_whole(to, text.encode())
    typer.echo(f"{to} is written. {RESEARCH_NOTICE}")


def _other(named: str) -> "Other":
    """Read "NAME=FILE" or "FILE"; without a name, the version's own is taken."""
    from lentigo_trainer.evaluation.report import read_evaluation_report  # noqa: PLC0415
    from lentigo_trainer.reporting.model_card.evidence import Other  # noqa: PLC0415 - see cli

    # A file may have the sign in its name, so what is there is a file.
    label, _, path = ("", "", named) if Path(named).exists() else named.rpartition("=")
    figures = read_evaluation_report(Path(path))
    return Other(label.strip() or figures.subject.named, figures)


def _drawn(evidence: "Evidence") -> dict[str, tuple[str, bytes]]:
    """Draw every picture: name, what it shows in words, and its bytes."""
    from lentigo_trainer.reporting.plots import sensitivities  # noqa: PLC0415 - see cli
    from lentigo_trainer.reporting.reliability import (  # noqa: PLC0415 - see cli
        malignancy,
        reliability_beside,
    )

    main = evidence.main
    other = next(iter(evidence.beside(main)), None)
    both = "" if other is None else f", beside {other.label}"
    drawn = {
        "sensitivity": (
            f"Sensitivity for each diagnosis on {main.images}{both}",
            sensitivities(main, other),
        ),
        "reliability": (
            f"Reliability diagram on {main.images}{both}",
            reliability_beside(main, other),
        ),
    }
    # Reports of older releases do not have it.
    if main.calibration.after.malignant_calibration_error is not None:
        drawn["malignancy"] = (
            f"Reliability diagram of the probability of malignancy on {main.images}{both}",
            malignancy(main, other),
        )
    return drawn
