"""One run of a baseline: split, features, training, answers, metrics.

    metadata -> split -> features of every image -> folds -> answers -> metrics beside the networks'

What is measured is measured as for the networks: the same images and folds, calibration and
decision cross-validated, intervals by merged lesion.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from lentigo_contract.decision import decide, malignant_probability
from lentigo_contract.labels import CODES, index_of
from lentigo_trainer.baselines.ablation import Reduced, ablate
from lentigo_trainer.baselines.classifiers.base import Labels
from lentigo_trainer.baselines.cross_fitting import FITS, Answers, Lessons, cross_fit
from lentigo_trainer.baselines.feature_table import FeatureTable, feature_table
from lentigo_trainer.baselines.features.sets import System
from lentigo_trainer.calibration.cross_validation import CrossValidated, cross_validate, measure
from lentigo_trainer.calibration.malignancy import fit_malignancy
from lentigo_trainer.calibration.operating_point import choose_operating_point
from lentigo_trainer.calibration.out_of_fold import calibrate_out_of_fold
from lentigo_trainer.calibration.temperature import calibrated
from lentigo_trainer.data.duplicates.known import merged_lesions
from lentigo_trainer.data.ham10000 import Source, open_images, read_metadata, require_images
from lentigo_trainer.data.out_of_fold import ANSWERS_NAME, OutOfFold, write_answers
from lentigo_trainer.data.splits import Folds, Split, folds_of, limited, split
from lentigo_trainer.evaluation.evaluate import EVALUATION_SEED
from lentigo_trainer.evaluation.images.image_sets import ImageSet
from lentigo_trainer.evaluation.report import EvaluatedModel, EvaluationReport, score
from lentigo_trainer.metrics.arrays import BoolArray, FloatArray, is_malignant
from lentigo_trainer.metrics.bootstrap import Basis, Estimate, Resampling, estimates, mean
from lentigo_trainer.metrics.decisions import Decisions
from lentigo_trainer.metrics.ranking import auc
from lentigo_trainer.system.progress import Progress

FOLDS: Final = 5
_FOLDS_OF_QUICK_RUN: Final = 2
"""As for networks with `--limit`: few lesions of each class."""

TITLES: Final[dict[System, str]] = {
    "xie": "Ensemble of back-propagation and fuzzy networks (Xie et al. 2017)",
    "aswin": "Neural network started by a genetic algorithm (Aswin et al. 2014)",
}

_MEL: Final = index_of("mel")
_NV: Final = index_of("nv")


@dataclass(frozen=True, slots=True)
class BaselineResult:
    """What a baseline is worth.

    Attributes:
        system: which.
        limit: about how many images were used; None for all.
        folds: how many.
        images: how many training images have an out-of-fold answer.
        lesions: how many lesions they show, known duplicates merged.
        without_lesion: share of them in which no lesion was found.
        metrics: of `cross_validation.MEASURED`, out of fold; malignancy by the binary classifier.
        binary: of the originals' question, out of fold, at a probability of 0.5.
        answers: calibrated and decided by the other folds, for a comparison image by image.
        out_of_fold: the report on the out-of-fold answers.
        validation: that on the paper's validation images.
        reduced: of the originals' question without each part, by what is left; None if not asked.
    """

    system: System
    limit: int | None
    folds: int
    images: int
    lesions: int
    without_lesion: float
    metrics: dict[str, Estimate]
    binary: dict[str, Estimate]
    answers: CrossValidated
    out_of_fold: EvaluationReport
    validation: EvaluationReport
    reduced: dict[str, Reduced] | None = None


def run_baseline(
    system: System,
    source: Source,
    work: Path,
    limit: int | None,
    seed: int,
    workers: int,
    progress: Progress,
    ablation: bool = False,
) -> BaselineResult:
    """Train a baseline on the networks' folds and measure it.

    Args:
        system: which.
        source: where HAM10000 is.
        work: folder of this baseline; what is finished there is kept and used again.
        limit: about how many images to use; None for all.
        seed: of the classifiers, and of the draw with a limit.
        workers: processes that compute features.
        progress: shows how far each step is.
        ablation: also train without each part, and measure what it adds.

    Raises:
        DatasetError: the data cannot be used.
        TrainingError: a feature is not finite, or the folder holds another run.
        MetricError: a class has no example.
    """
    records = read_metadata(source.metadata)
    used = split(records)
    if limit is not None:
        used = limited(used, records, limit, seed)
    folds = folds_of(used.train, records, FOLDS if limit is None else _FOLDS_OF_QUICK_RUN)
    rows = np.sort(np.concatenate([used.train, used.validation]))
    with open_images(source) as readers:
        names = records["image_id"].to_numpy(str)[rows]
        require_images(records.iloc[rows], readers.keys(), source.metadata)
        table = feature_table(system, names.tolist(), readers, work / "features", workers, progress)
    labels = np.array([index_of(code) for code in records["dx"]], np.int64)
    values = np.zeros((len(records), table.values.shape[1]))
    values[rows] = table.values
    lessons = Lessons(system, FITS[system], values, labels, seed)
    answers, on_validation = cross_fit(lessons, folds, used.validation, work / "answers", progress)
    result = _measured(
        system, records, labels, used, folds, answers, on_validation, table, rows, limit, work
    )
    if not ablation:
        return result
    resampling = Resampling(merged_lesions(records)[folds.rows], EVALUATION_SEED)
    reduced = ablate(
        system, lessons, folds, answers.malignant, resampling, work / "ablation", progress
    )
    return replace(result, reduced=reduced)


def _measured(  # noqa: PLR0913, PLR0917 - all that is known of a run
    system: System,
    records: pd.DataFrame,
    labels: Labels,
    used: Split,
    folds: Folds,
    answers: Answers,
    on_validation: Answers,
    table: FeatureTable,
    rows: npt.NDArray[np.intp],
    limit: int | None,
    work: Path,
) -> BaselineResult:
    lesions = merged_lesions(records)
    kept = OutOfFold(folds.rows, folds.fold, answers.logits, None)
    write_answers(work / ANSWERS_NAME, kept, records["image_id"].to_numpy(str))
    validated = _with_binary(cross_validate(kept, labels, lesions), kept, answers, labels, lesions)
    found = table.found[np.searchsorted(rows, folds.rows)]
    return BaselineResult(
        system=system,
        limit=limit,
        folds=folds.count,
        images=len(folds.rows),
        lesions=len(np.unique(lesions[folds.rows])),
        without_lesion=float(1 - found.mean()),
        metrics=measure(validated, None, labels, lesions),
        binary=binary_metrics(labels[folds.rows], answers.malignant, lesions[folds.rows]),
        answers=validated,
        out_of_fold=_report(
            system,
            records,
            labels,
            folds.rows,
            validated.probabilities,
            Decisions(validated.diagnoses, "balanced", validated.malignancy),
            f"out-of-fold answers for the paper's training images of HAM10000, {folds.count} folds",
            "none: each answer is from a classifier that never saw the lesion",
        ),
        validation=_validation_report(
            system, records, labels, kept, answers, on_validation, used.validation
        ),
    )


def _with_binary(
    validated: CrossValidated,
    kept: OutOfFold,
    answers: Answers,
    labels: Labels,
    lesions: npt.NDArray[np.str_],
) -> CrossValidated:
    """Take malignancy and referral from the binary classifier, fitted on the other folds."""
    malignancy = np.empty(len(kept.rows))
    referred = np.empty(len(kept.rows), np.bool_)
    two = _as_seven(answers.malignant)
    for number in np.unique(kept.fold):
        own = kept.fold == number
        truth = labels[kept.rows[~own]]
        calibration = fit_malignancy(truth, two[~own], "the other folds")
        scores = malignant_probability(two[~own], calibration)
        point = choose_operating_point(
            truth, {"savedmodel": scores}, lesions[kept.rows[~own]], "the other folds"
        )
        malignancy[own] = malignant_probability(two[own], calibration)
        referred[own] = malignancy[own] >= point.threshold
    return replace(validated, malignancy=malignancy, referred=referred)


def binary_metrics(
    labels: Labels, malignant: FloatArray, lesions: npt.NDArray[np.str_]
) -> dict[str, Estimate]:
    """Return the metrics of the originals' question, with 95 % intervals by lesion.

    Args:
        labels: class numbers, [n].
        malignant: probability of malignancy, [n].
        lesions: the lesion of each image, [n].
    """
    truth = is_malignant(labels)
    said: BoolArray = malignant >= 0.5
    counts = {
        "auc": truth.sum(),
        "accuracy": truth.size,
        "always_benign": truth.size,
        "sensitivity": truth.sum(),
        "specificity": (~truth).sum(),
    }
    return estimates(
        lambda weights: {
            "auc": auc(truth, malignant, weights),
            "accuracy": mean(said == truth, weights),
            "always_benign": mean(~truth, weights),
            "sensitivity": mean(said, weights, among=truth),
            "specificity": mean(~said, weights, among=~truth),
        },
        {name: Basis(int(count), "a class has no image") for name, count in counts.items()},
        Resampling(lesions, EVALUATION_SEED),
    )


def _validation_report(
    system: System,
    records: pd.DataFrame,
    labels: Labels,
    kept: OutOfFold,
    answers: Answers,
    on_validation: Answers,
    rows: npt.NDArray[np.intp],
) -> EvaluationReport:
    """Calibrate by the out-of-fold answers, as a version does, and report on the validation."""
    truth = labels[kept.rows]
    meaning, _ = calibrate_out_of_fold(kept, truth, "the out-of-fold answers")
    raw = np.asarray(calibrated(on_validation.logits, meaning.calibration), np.float64)
    probabilities = raw / raw.sum(axis=1, keepdims=True)
    calibration = fit_malignancy(truth, _as_seven(answers.malignant), "the out-of-fold answers")
    decisions = Decisions(
        decide(probabilities, meaning.prevalence),
        "balanced",
        malignant_probability(_as_seven(on_validation.malignant), calibration),
    )
    return _report(
        system,
        records,
        labels,
        rows,
        probabilities,
        decisions,
        "the paper's validation images of HAM10000",
        "none: the paper's split",
    )


def _report(
    system: System,
    records: pd.DataFrame,
    labels: Labels,
    rows: npt.NDArray[np.intp],
    probabilities: FloatArray,
    decisions: Decisions,
    description: str,
    overlap: str,
) -> EvaluationReport:
    people = records.iloc[rows]
    images = ImageSet(
        description=description,
        names=tuple(people["image_id"]),
        truth=labels[rows],
        readers=(),
        people=people,
        metadata=records if description.startswith("the paper's validation") else None,
    )
    model = EvaluatedModel(
        name=system,
        version=0,
        architecture=TITLES[system],
        created=datetime.now(UTC).isoformat(),
        asked="in process",
        engine="scikit-learn",
    )
    return score(model, images, overlap, probabilities, None, EVALUATION_SEED, decisions=decisions)


def _as_seven(malignant: FloatArray) -> FloatArray:
    """Write a probability of malignancy as seven, all of it at one diagnosis of each side."""
    seven = np.zeros((len(malignant), len(CODES)))
    seven[:, _MEL], seven[:, _NV] = malignant, 1 - malignant
    return seven
