"""The figures of a version on one set of images, as a section of its card.

Another version's figures beside this one's, on the same images.

Shares as counts: how large a failure is.

What a version is known to get wrong, each with its size.
"""

from collections.abc import Callable, Iterator
from typing import Final

from lentigo_contract.labels import CODES, DIAGNOSES
from lentigo_trainer.evaluation.comparison import COMPARED, paired_differences
from lentigo_trainer.evaluation.report import EvaluationReport
from lentigo_trainer.evaluation.subgroups import Subgroup
from lentigo_trainer.metrics.bootstrap import Estimate
from lentigo_trainer.reporting.model_card.evidence import Evidence, Other
from lentigo_trainer.reporting.tables import TextTable, figure_tables, overlap_text, subgroup_tables
from lentigo_trainer.reporting.text import (
    NOT_MEASURED,
    bullets,
    change_text,
    number_text,
    overall_rows,
    paragraphs,
    points_text,
    reasons,
    share_text,
    table,
)

READING: Final = """In brackets stands the 95 % interval: percentile bootstrap over whole lesions.
n is the number of images a figure rests on: of a sensitivity the images of the class, of an AUC the
positive images, of a PPV the answers naming the class, of a specificity and an NPV all others. A
share of 0 or 100 % gets an interval without width from this method; read its n instead. "No
interval" means that too many resamples lack a diagnosis. The calibration error's interval leans
upwards, because resampling adds to it. Every figure is what `lentigo-train evaluate` measures;
docs/evaluation.md says what each one is."""


def figures(card: EvaluationReport, *, subgroups: bool) -> str:
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


def _how(card: EvaluationReport) -> str:
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


_SHARES = ("accuracy", "balanced_accuracy", "melanoma_sensitivity")


def comparison(ours: EvaluationReport, other: Other) -> str:
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


def _difference(found: dict[str, Estimate] | None, key: str) -> str:
    if found is None:
        return NOT_MEASURED
    return points_text(found[key]) if key in _SHARES else change_text(found[key])


def _sensitivities(
    ours: EvaluationReport, theirs: EvaluationReport
) -> list[tuple[str, str, str, str]]:
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


def _both(ours: Estimate, theirs: Estimate) -> tuple[str, str]:
    return share_text(ours), share_text(theirs)


def count_of(figure: Estimate) -> int:
    """How many examples a share speaks of; 0 where it is undefined."""
    return round((figure.value or 0.0) * figure.n)


def of_text(figure: Estimate) -> str:
    """Write a share as a count: "17 of 39"."""
    return f"{count_of(figure):,} of {figure.n:,}"


CONFUSIONS: Final = 5
"""How many of the most frequent confusions are named."""


def failures(evidence: Evidence) -> str:
    """Write the section: everything on the first set of images, the melanomas on the others."""
    main = evidence.main
    return paragraphs(
        (
            f"## Known failures\n\nOn {main.images}:",
            bullets(
                (
                    *_melanomas(main),
                    *_missed(main),
                    *_confusions(main),
                    *_weakest(main),
                    _confidence(main),
                    _refused(main),
                )
            ),
            *(
                f"On {each.images}:\n\n{bullets((*_melanomas(each), _refused(each)))}"
                for each in evidence.further
            ),
        )
    )


def _melanomas(card: EvaluationReport) -> Iterator[str]:
    found = card.referral
    if found is None:
        yield f"melanomas called benign, and how many are referred all the same: {NOT_MEASURED}"
        return
    if found.melanomas_called_benign.value is None:
        yield "melanomas called benign: undefined, there is no image of melanoma"
        return
    called, referred = found.melanomas_called_benign, found.called_benign_referred
    lost = called.n and count_of(called) - count_of(referred)
    yield (
        f"**melanomas called benign: {of_text(called)}**, {share_text(called)}. The threshold for "
        f"malignancy refers {count_of(referred):,} of these all the same; {lost:,} of {called.n:,} "
        "melanomas are neither named malignant nor referred"
    )
    alarms = found.specificity
    if alarms.value is not None:
        yield (
            f"benign images referred: {alarms.n - count_of(alarms):,} of {alarms.n:,} "
            f"({100 * (1 - alarms.value):.1f} %)"
        )


def _missed(card: EvaluationReport) -> Iterator[str]:
    for truth, diagnosis in enumerate(DIAGNOSES):
        row = card.evaluation.confusion[truth]
        total, wrong = sum(row), sum(row) - row[truth]
        if diagnosis.malignant and wrong:
            most, other = max((n, CODES[answer]) for answer, n in enumerate(row) if answer != truth)
            yield (
                f"{diagnosis.code}: {wrong:,} of {total:,} images ({100 * wrong / total:.1f} %) "
                f"got another answer, most often {other} ({most:,})"
            )


def _confusions(card: EvaluationReport) -> Iterator[str]:
    rows = card.evaluation.confusion
    counted = sorted(
        (
            (-n, code, CODES[answer], sum(row))
            for code, row in zip(CODES, rows, strict=True)
            for answer, n in enumerate(row)
            if n and CODES[answer] != code
        )
    )[:CONFUSIONS]
    if counted:
        named = "; ".join(
            f"{code} called {answer}, {-n:,} of {total:,}" for n, code, answer, total in counted
        )
        yield f"most frequent confusions: {named}"


def _weakest(card: EvaluationReport) -> Iterator[str]:
    if card.subgroups is None:
        yield f"by sex, age, site and confirmation: {NOT_MEASURED}"
        return
    whole = card.evaluation
    for way, parts in card.subgroups.items():
        lowest = _lowest(parts, lambda part: part.balanced_accuracy)
        if lowest:
            name, part, figure = lowest
            yield (
                f"lowest balanced accuracy by {way}: {name}, {share_text(figure)}, n = {part.n:,}, "
                f"over {len(part.averaged_over)} of {len(CODES)} diagnoses; of all images "
                f"{share_text(whole.balanced_accuracy)}"
            )
        lowest = _lowest(parts, lambda part: part.malignant_auc)
        if lowest:
            name, part, figure = lowest
            yield (
                f"lowest AUC of malignant against benign by {way}: {name}, {number_text(figure)}, "
                f"n = {part.n:,}; of all images {number_text(whole.malignant_auc)}"
            )


def _lowest(
    parts: dict[str, Subgroup], figure_of: Callable[[Subgroup], Estimate | None]
) -> tuple[str, Subgroup, Estimate] | None:
    """Find the part with the lowest figure, if at least two have one."""
    known = [
        (name, part, figure)
        for name, part in parts.items()
        if (figure := figure_of(part)) is not None and figure.value is not None
    ]
    if len(known) < 2:
        return None
    return min(known, key=lambda each: (each[2].value, each[0]))


def _confidence(card: EvaluationReport) -> str:
    bars = [bar for bar in card.calibration.after.reliability if bar.n]
    gap = sum(bar.n * ((bar.confidence or 0.0) - (bar.accuracy or 0.0)) for bar in bars)
    gap /= card.evaluation.examples
    side = "higher" if gap >= 0 else "lower"
    return (
        "calibration error "
        f"{number_text(card.calibration.after.expected_calibration_error)}: the probability of the "
        f"answer is on average {100 * abs(gap):.1f} points {side} than the share of right answers"
    )


def _refused(card: EvaluationReport) -> str:
    if card.refused is None:
        return f"images refused as unfit: {NOT_MEASURED}"
    return (
        f"images refused as unfit, though each shows a lesion: {share_text(card.refused)} of "
        f"{card.refused.n:,}"
    )
