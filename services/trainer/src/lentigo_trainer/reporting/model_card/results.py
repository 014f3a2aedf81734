"""What a model card says of a version's results: its known failures, and another version beside it.

Values only; `templates/model-card/` puts them into words.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from lentigo_contract.labels import CODES, DIAGNOSES
from lentigo_trainer.evaluation.comparison import COMPARED, PROBABLE, paired_differences
from lentigo_trainer.evaluation.report import EvaluationReport
from lentigo_trainer.evaluation.subgroups import Subgroup
from lentigo_trainer.evaluation.summary import Evaluation
from lentigo_trainer.metrics.bootstrap import Estimate
from lentigo_trainer.metrics.classification import DECIDED
from lentigo_trainer.reporting.model_card.evidence import Other
from lentigo_trainer.reporting.sentences import overlap_text
from lentigo_trainer.reporting.text import (
    NOT_MEASURED,
    WITHOUT_DUPLICATES,
    change_text,
    overall_rows,
    points_text,
    probable_rows,
    share_text,
)

CONFUSIONS: Final = 5
"""How many of the most frequent confusions are named."""

_SHARES: Final = (*DECIDED, *PROBABLE)


@dataclass(frozen=True, slots=True)
class Missed:
    """The images of one malignant diagnosis that got another.

    Attributes:
        code: the diagnosis.
        wrong: how many of its images got another.
        total: how many images it has.
        answer: the code of the most frequent other diagnosis.
        most: how many images got that one.
    """

    code: str
    wrong: int
    total: int
    answer: str
    most: int


@dataclass(frozen=True, slots=True)
class Confusion:
    """How often one diagnosis was called another.

    Attributes:
        truth: code of the diagnosis.
        answer: code of the diagnosis named in its place.
        n: how many images.
        total: how many images show `truth`.
    """

    truth: str
    answer: str
    n: int
    total: int


@dataclass(frozen=True, slots=True)
class WeakestSubgroup:
    """The subgroup with the lowest value of a metric.

    Attributes:
        attribute: what the images were divided by, such as "sex".
        balanced_accuracy: whether that is the metric; else it is the AUC of malignant against
            benign.
        name: of the subgroup.
        estimate: its value.
        n: how many images it has.
        classes: how many diagnoses balanced accuracy is averaged over.
    """

    attribute: str
    balanced_accuracy: bool
    name: str
    estimate: Estimate
    n: int
    classes: int


@dataclass(frozen=True, slots=True)
class KnownFailures:
    """What a version gets wrong on one set of images.

    Attributes:
        missed: malignant diagnoses that were not always recognised.
        confusions: the most frequent ones, at most `CONFUSIONS`.
        weakest: for each attribute and metric, if at least two subgroups have a value.
        overconfidence: mean probability of the answers minus the share of right ones, -1..1.
    """

    missed: tuple[Missed, ...]
    confusions: tuple[Confusion, ...]
    weakest: tuple[WeakestSubgroup, ...]
    overconfidence: float


def known_failures(report: EvaluationReport) -> KnownFailures:
    """Find the failures that a model card names."""
    return KnownFailures(
        missed=tuple(_missed(report)),
        confusions=_confusions(report),
        weakest=tuple(_weakest(report)),
        overconfidence=_overconfidence(report),
    )


def _missed(report: EvaluationReport) -> Iterator[Missed]:
    for truth, diagnosis in enumerate(DIAGNOSES):
        row = report.evaluation.confusion[truth]
        total, wrong = sum(row), sum(row) - row[truth]
        if diagnosis.malignant and wrong:
            most, other = max((n, CODES[answer]) for answer, n in enumerate(row) if answer != truth)
            yield Missed(diagnosis.code, wrong, total, other, most)


def _confusions(report: EvaluationReport) -> tuple[Confusion, ...]:
    confusions = [
        Confusion(truth, CODES[answer], n, sum(row))
        for truth, row in zip(CODES, report.evaluation.confusion, strict=True)
        for answer, n in enumerate(row)
        if n and CODES[answer] != truth
    ]
    return tuple(sorted(confusions, key=lambda each: (-each.n, each.truth, each.answer)))[
        :CONFUSIONS
    ]


def _weakest(report: EvaluationReport) -> Iterator[WeakestSubgroup]:
    for attribute, subgroups in (report.subgroups or {}).items():
        for balanced_accuracy in (True, False):
            lowest = _lowest(
                subgroups,
                (lambda each: each.balanced_accuracy)
                if balanced_accuracy
                else (lambda each: each.malignant_auc),
            )
            if lowest:
                name, subgroup, estimate = lowest
                classes = len(subgroup.averaged_over)
                yield WeakestSubgroup(
                    attribute, balanced_accuracy, name, estimate, subgroup.n, classes
                )


def _lowest(
    subgroups: dict[str, Subgroup], metric_of: Callable[[Subgroup], Estimate | None]
) -> tuple[str, Subgroup, Estimate] | None:
    """Find the subgroup with the lowest metric, if at least two have one."""
    known = [
        (name, subgroup, estimate)
        for name, subgroup in subgroups.items()
        if (estimate := metric_of(subgroup)) is not None and estimate.value is not None
    ]
    if len(known) < 2:
        return None
    return min(known, key=lambda each: (each[2].value, each[0]))


def _overconfidence(report: EvaluationReport) -> float:
    bins = [each for each in report.calibration.after.reliability if each.n]
    gap = sum(each.n * ((each.confidence or 0.0) - (each.accuracy or 0.0)) for each in bins)
    return gap / report.evaluation.examples


@dataclass(frozen=True, slots=True)
class Comparison:
    """Another version beside this one, on the same images.

    Attributes:
        label: what the card calls the other version.
        report: the other version's.
        overlap: whether any of the images trained the other version, in a sentence.
        majority: code of the most frequent diagnosis.
        paired: whether the differences are known.
        metrics: rows of name, this version, the other, difference, n, baseline.
        sensitivities: rows of diagnosis, n, this version, the other.
    """

    label: str
    report: EvaluationReport
    overlap: str
    majority: str
    paired: bool
    metrics: tuple[tuple[str, ...], ...]
    sensitivities: tuple[tuple[str, ...], ...]


def comparison(ours: EvaluationReport, other: Other) -> Comparison:
    """Compare two versions.

    Args:
        ours: this version's report.
        other: the other's, on the same images.

    Raises:
        EvaluationReportError: not the same images.
    """
    theirs = other.figures
    differences = paired_differences(ours, theirs)
    rows = _metric_rows(ours.evaluation, theirs.evaluation, differences)
    ours_rest = ours.evaluation.without_known_duplicates
    theirs_rest = theirs.evaluation.without_known_duplicates
    if ours_rest is not None and theirs_rest is not None:
        left = paired_differences(ours, theirs, ours.known_duplicates)
        rest = _metric_rows(ours_rest, theirs_rest, left)
        pairs = zip(rows, rest, strict=True)
        rows = [
            row for whole, (_, *cells) in pairs for row in (whole, (WITHOUT_DUPLICATES, *cells))
        ]
    return Comparison(
        label=other.label,
        report=theirs,
        overlap=overlap_text(theirs),
        majority=ours.evaluation.majority,
        paired=differences is not None,
        metrics=tuple(rows),
        sensitivities=tuple(_sensitivities(ours, theirs)),
    )


def _metric_rows(
    ours: Evaluation, theirs: Evaluation, differences: dict[str, Estimate] | None
) -> list[tuple[str, ...]]:
    both_rows = list(zip(COMPARED, overall_rows(ours), overall_rows(theirs), strict=True))
    if ours.most_probable or theirs.most_probable:
        both_rows += zip(PROBABLE, probable_rows(ours), probable_rows(theirs), strict=True)
    return [
        (name, mine, others, _difference(differences, key), n, baseline)
        for key, (name, mine, n, baseline), (_, others, _, _) in both_rows
    ]


def _difference(differences: dict[str, Estimate] | None, key: str) -> str:
    if differences is None:
        return NOT_MEASURED
    return points_text(differences[key]) if key in _SHARES else change_text(differences[key])


def _sensitivities(
    ours: EvaluationReport, theirs: EvaluationReport
) -> Iterator[tuple[str, str, str, str]]:
    for code, mine in ours.diagnoses.items():
        yield _both(code, mine.sensitivity, theirs.diagnoses[code].sensitivity)
    if ours.referral is not None and theirs.referral is not None:
        one, two = ours.referral, theirs.referral
        yield _both("malignant, by referral", one.sensitivity, two.sensitivity)
        yield _both("*images referred for it*", one.referred, two.referred)
        yield _both(
            "*melanomas called benign*", one.melanomas_called_benign, two.melanomas_called_benign
        )


def _both(name: str, ours: Estimate, theirs: Estimate) -> tuple[str, str, str, str]:
    return name, f"{ours.n:,}", share_text(ours), share_text(theirs)
