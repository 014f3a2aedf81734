"""What a model card rests on: a version's manifest, and evaluations that fit it and each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np

from lentigo_contract.imaging.quality import LEAST_SIDE, quality_issues
from lentigo_contract.manifest.manifest import Manifest
from lentigo_contract.wording import pluralize
from lentigo_engines.base import Prediction
from lentigo_trainer.data.dataset import Prepared
from lentigo_trainer.data.splits import Rows, TrainingRows
from lentigo_trainer.errors import EvaluationReportError
from lentigo_trainer.evaluation.evaluate import EVALUATION_SEED
from lentigo_trainer.evaluation.exported_model import predict_with
from lentigo_trainer.evaluation.images.image_sets import HOLD_OUT, VALIDATION, ImageSet
from lentigo_trainer.evaluation.referral import Refused, refused_by
from lentigo_trainer.evaluation.report import EvaluationReport, evaluated_model, score
from lentigo_trainer.evaluation.summary import Evaluation
from lentigo_trainer.system.progress import Progress


@dataclass(frozen=True, slots=True)
class Other:
    """Another version, to stand beside this one.

    Attributes:
        label: what the card calls it.
        figures: its evaluation.
    """

    label: str
    figures: EvaluationReport


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a version; `validate_evidence` makes sure that it fits together.

    Attributes:
        manifest: of the version.
        main: its figures on the images that the card speaks of first.
        further: its figures on other images.
        others: other versions, each on the images of `main` or of one of `further`.
    """

    manifest: Manifest
    main: EvaluationReport
    further: tuple[EvaluationReport, ...] = ()
    others: tuple[Other, ...] = ()

    @property
    def sets(self) -> tuple[EvaluationReport, ...]:
        """The version's figures, on every set of images."""
        return (self.main, *self.further)

    def beside(self, report: EvaluationReport) -> tuple[Other, ...]:
        """Return the other versions that were measured on the same images."""
        return tuple(each for each in self.others if each.figures.image_set == report.image_set)


def validate_evidence(
    manifest: Manifest,
    main: EvaluationReport,
    further: Sequence[EvaluationReport] = (),
    others: Sequence[Other] = (),
) -> Evidence:
    """Check that the evaluations belong together.

    Raises:
        EvaluationReportError: metrics of another version than the manifest's, two of the same
            images, or another version's on images that this one was not measured on.
    """
    evidence = Evidence(manifest, main, tuple(further), tuple(others))
    for report in evidence.sets:
        if not _is_of(manifest, report):
            raise EvaluationReportError(
                f"The figures on {report.images} are those of {report.subject.named}, trained "
                f"{report.subject.created}; the card is of {manifest.name} {manifest.version}, "
                f"trained {manifest.created.isoformat()}. Measure that version, or name the other "
                "with --model."
            )
    measured = {report.image_set: report for report in evidence.sets}
    if len(measured) < len(evidence.sets):
        raise EvaluationReportError(
            f"Two of the evaluations are of the same images ({main.images} or others). Give each "
            "set of images once."
        )
    for other in others:
        if other.figures.image_set not in measured:
            known = " and ".join(f"{each.images} ({_count(each)})" for each in measured.values())
            raise EvaluationReportError(
                f"{other.label} was measured on {other.figures.images} ({_count(other.figures)}); "
                f"the version of the card on {known}. Figures of different images cannot stand "
                "beside each other: measure both on one set."
            )
        if _is_of(manifest, other.figures):
            raise EvaluationReportError(
                f"{other.label} is the version of the card itself. Give --beside the figures of "
                "another."
            )
    return evidence


def _is_of(manifest: Manifest, report: EvaluationReport) -> bool:
    subject = report.subject
    return (subject.name, subject.version, datetime.fromisoformat(subject.created)) == (
        manifest.name,
        manifest.version,
        manifest.created,
    )


def _count(report: EvaluationReport) -> str:
    return pluralize(report.evaluation.examples, "image")


NO_OVERLAP: Final = "none: the split that trained it keeps these lesions apart."


def evaluate_candidate(
    files: Path,
    manifest: Manifest,
    prepared: Prepared,
    rows: TrainingRows,
    validation_outputs: Prediction,
    progress: Progress,
    validation_evaluation: Evaluation | None = None,
) -> Evidence:
    """Evaluate a candidate on the hold-out, if its recipe keeps one, and on the validation images.

    Args:
        files: the candidate's, with its SavedModel.
        manifest: of the candidate.
        prepared: the data set.
        rows: which images trained it and which did not.
        validation_outputs: of the SavedModel, for the validation images.
        progress: receives how many images are done.
        validation_evaluation: of these outputs, if it was computed before.

    Returns:
        The evaluations, the one on the hold-out first.

    Raises:
        DamagedVersionError: the SavedModel cannot be loaded.
    """
    validation = _report(
        manifest,
        VALIDATION.description,
        prepared,
        rows.whole.validation,
        validation_outputs,
        validation_evaluation,
    )
    if not len(rows.hold_out):
        return validate_evidence(manifest, validation)
    hold_out_outputs = predict_with("savedmodel", files, prepared.images[rows.hold_out], progress)
    hold_out = _report(manifest, HOLD_OUT.description, prepared, rows.hold_out, hold_out_outputs)
    return validate_evidence(manifest, hold_out, [validation])


def _report(
    manifest: Manifest,
    description: str,
    prepared: Prepared,
    rows: Rows,
    outputs: Prediction,
    evaluation: Evaluation | None = None,
) -> EvaluationReport:
    return score(
        evaluated_model(manifest, manifest.version),
        _image_set(description, prepared, rows),
        NO_OVERLAP,
        outputs.probabilities,
        manifest,
        EVALUATION_SEED,
        refused_by(manifest.unlikeness, outputs, _unfit(prepared, rows)),
        evaluation=evaluation,
    )


def _image_set(description: str, prepared: Prepared, rows: Rows) -> ImageSet:
    records = prepared.records.iloc[rows]
    names, truth = tuple(records["image_id"]), np.asarray(prepared.labels[rows])
    # Without readers: the model's outputs are known already, so no image is read again.
    return ImageSet(description, names, truth, (), records, prepared.records)


def _unfit(prepared: Prepared, rows: Rows) -> Refused:
    # Original sizes were not kept; no image of HAM10000 is too small to judge.
    images = (prepared.images[row] for row in rows)
    return np.array([bool(quality_issues(each, LEAST_SIDE, LEAST_SIDE)) for each in images])
