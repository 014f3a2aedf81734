"""What a version is known to get wrong, each with its size."""

from collections.abc import Callable, Iterator
from typing import Final

from lentigo_contract.labels import CODES, DIAGNOSES
from lentigo_trainer.card.counts import count_of, of_text
from lentigo_trainer.card.evidence import Evidence
from lentigo_trainer.evaluation.bootstrap import Figure
from lentigo_trainer.evaluation.report import Scorecard
from lentigo_trainer.evaluation.subgroups import Subgroup
from lentigo_trainer.figure_text import NOT_MEASURED, number_text, share_text
from lentigo_trainer.markdown import bullets, paragraphs

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


def _melanomas(card: Scorecard) -> Iterator[str]:
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


def _missed(card: Scorecard) -> Iterator[str]:
    for truth, diagnosis in enumerate(DIAGNOSES):
        row = card.evaluation.confusion[truth]
        total, wrong = sum(row), sum(row) - row[truth]
        if diagnosis.malignant and wrong:
            most, other = max((n, CODES[answer]) for answer, n in enumerate(row) if answer != truth)
            yield (
                f"{diagnosis.code}: {wrong:,} of {total:,} images ({100 * wrong / total:.1f} %) "
                f"got another answer, most often {other} ({most:,})"
            )


def _confusions(card: Scorecard) -> Iterator[str]:
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


def _weakest(card: Scorecard) -> Iterator[str]:
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
    parts: dict[str, Subgroup], figure_of: Callable[[Subgroup], Figure | None]
) -> tuple[str, Subgroup, Figure] | None:
    """Find the part with the lowest figure, if at least two have one."""
    known = [
        (name, part, figure)
        for name, part in parts.items()
        if (figure := figure_of(part)) is not None and figure.value is not None
    ]
    if len(known) < 2:
        return None
    return min(known, key=lambda each: (each[2].value, each[0]))


def _confidence(card: Scorecard) -> str:
    bars = [bar for bar in card.calibration.after.reliability if bar.n]
    gap = sum(bar.n * ((bar.confidence or 0.0) - (bar.accuracy or 0.0)) for bar in bars)
    gap /= card.evaluation.examples
    side = "higher" if gap >= 0 else "lower"
    return (
        "calibration error "
        f"{number_text(card.calibration.after.expected_calibration_error)}: the probability of the "
        f"answer is on average {100 * abs(gap):.1f} points {side} than the share of right answers"
    )


def _refused(card: Scorecard) -> str:
    if card.refused is None:
        return f"images refused as unfit: {NOT_MEASURED}"
    return (
        f"images refused as unfit, though each shows a lesion: {share_text(card.refused)} of "
        f"{card.refused.n:,}"
    )
