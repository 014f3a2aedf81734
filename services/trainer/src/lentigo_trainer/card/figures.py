"""The figures of a version on one set of images, as a section of its card."""

from typing import Final

from lentigo_trainer.evaluation.report import Scorecard
from lentigo_trainer.figure_text import NOT_MEASURED, overall_rows, reasons, share_text
from lentigo_trainer.markdown import bullets, paragraphs, table
from lentigo_trainer.scoring.subgroup_tables import subgroup_tables
from lentigo_trainer.scoring.tables import figure_tables, overlap_text
from lentigo_trainer.scoring.text_table import TextTable

READING: Final = """In brackets stands the 95 % interval: percentile bootstrap over whole lesions.
n is the number of images a figure rests on: of a sensitivity the images of the class, of an AUC the
positive images, of a PPV the answers naming the class, of a specificity and an NPV all others. A
share of 0 or 100 % gets an interval without width from this method; read its n instead. "No
interval" means that too many resamples lack a diagnosis. The calibration error's interval leans
upwards, because resampling adds to it. Every figure is what `lentigo-train evaluate` measures;
docs/evaluation.md says what each one is."""


def figures(card: Scorecard, *, subgroups: bool) -> str:
    """Write the section.

    Args:
        card: what was measured.
        subgroups: whether to tell the figures of parts of the images too.
    """
    result = card.evaluation
    whole = table(
        ("Figure", "This version", "n", f"Always {result.majority}"), overall_rows(result)
    )
    parts = [
        f"### On {card.images}",
        _how(card),
        whole,
        bullets(reasons(result)),
        *map(_block, figure_tables(card)),
    ]
    if card.referral is None:
        parts.append(f"What the thresholds do on these images: {NOT_MEASURED}.")
    if subgroups:
        parts += map(_block, subgroup_tables(card))
        if card.subgroups is None:
            parts.append(f"By sex, age, site and confirmation: {NOT_MEASURED}.")
    return paragraphs(parts)


def _how(card: Scorecard) -> str:
    result, subject = card.evaluation, card.subject
    drawn = (
        f"of {result.lesions:,} lesions"
        if card.intervals_over == "lesions"
        else "of lesions that are not known, so that images are drawn in their place"
    )
    asked = "in process" if subject.asked == "in process" else "over REST"
    refused = (
        f"Images refused as unfit: {NOT_MEASURED}."
        if card.refused is None
        else f"{share_text(card.refused)} of them are refused as unfit; the figures hold them all "
        "the same."
    )
    return (
        f"{result.examples:,} images {drawn}, asked {asked} (engine {subject.engine}); "
        f"{result.resamples:,} resamples, seed {result.seed}. "
        f"{overlap_text(card)} {refused}"
    )


def _block(found: TextTable) -> str:
    note = bullets(line for line in found.note.split("\n") if line)
    return paragraphs((f"#### {found.title}", table(found.head, found.rows), note))
