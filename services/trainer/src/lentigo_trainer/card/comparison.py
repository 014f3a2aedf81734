"""Another version's figures beside this one's, on the same images."""

from lentigo_trainer.card.evidence import Other
from lentigo_trainer.evaluation.bootstrap import Figure
from lentigo_trainer.evaluation.comparison import COMPARED, paired_differences
from lentigo_trainer.evaluation.report import Scorecard
from lentigo_trainer.figure_text import (
    NOT_MEASURED,
    change_text,
    overall_rows,
    points_text,
    share_text,
)
from lentigo_trainer.markdown import paragraphs, table
from lentigo_trainer.scoring.tables import overlap_text

_SHARES = ("accuracy", "balanced_accuracy", "melanoma_sensitivity")


def comparison(ours: Scorecard, other: Other) -> str:
    """Write the section.

    Args:
        ours: this version's figures.
        other: the other's, on the same images.

    Raises:
        ScorecardError: not the same images.
    """
    theirs = other.figures
    found = paired_differences(ours, theirs)
    majority = ours.evaluation.majority
    rows = [
        (name, mine, others, _difference(found, key), n, base)
        for key, (name, mine, n, base), (_, others, _, _) in zip(
            COMPARED,
            overall_rows(ours.evaluation),
            overall_rows(theirs.evaluation),
            strict=True,
        )
    ]
    how = (
        f"{theirs.subject.named}, {theirs.subject.architecture}, trained "
        f"{theirs.subject.created[:10]}, on the same {ours.evaluation.examples:,} images. "
        f"{overlap_text(theirs)} "
    )
    how += (
        f"Whether the difference is one: {NOT_MEASURED}, because the answers were not kept."
        if found is None
        else "A difference is this version minus the other, and its interval is paired: both "
        "answer the same lesions in every resample. Of calibration error, Brier score and log "
        "loss, less is better."
    )
    head = ("Figure", "This version", other.label, "Difference", "n", f"Always {majority}")
    return paragraphs(
        (
            f"### Beside {other.label}, on {ours.images}",
            how,
            table(head, rows),
            table(("Sensitivity", "n", "This version", other.label), _sensitivities(ours, theirs)),
        )
    )


def _difference(found: dict[str, Figure] | None, key: str) -> str:
    if found is None:
        return NOT_MEASURED
    return points_text(found[key]) if key in _SHARES else change_text(found[key])


def _sensitivities(ours: Scorecard, theirs: Scorecard) -> list[tuple[str, str, str, str]]:
    rows = [
        (
            code,
            f"{mine.sensitivity.n:,}",
            *_both(mine.sensitivity, theirs.diagnoses[code].sensitivity),
        )
        for code, mine in ours.diagnoses.items()
    ]
    if ours.referral is not None and theirs.referral is not None:
        mine, others = ours.referral, theirs.referral
        for name, one, two in (
            ("malignant, by referral", mine.sensitivity, others.sensitivity),
            ("*images referred for it*", mine.referred, others.referred),
            (
                "*melanomas called benign*",
                mine.melanomas_called_benign,
                others.melanomas_called_benign,
            ),
        ):
            rows.append((name, f"{one.n:,}", *_both(one, two)))
    return rows


def _both(ours: Figure, theirs: Figure) -> tuple[str, str]:
    return share_text(ours), share_text(theirs)
