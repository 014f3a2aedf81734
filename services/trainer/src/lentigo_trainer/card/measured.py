"""The figures of a candidate at the end of its training, on every image that was held back."""

from pathlib import Path
from typing import Final

import numpy as np

from lentigo_contract.imaging.quality import LEAST_SIDE, flaws_of
from lentigo_contract.manifest.manifest import Manifest
from lentigo_trainer.card.evidence import Evidence, checked
from lentigo_trainer.data.dataset import Prepared
from lentigo_trainer.data.splits import Rows, TrainingRows
from lentigo_trainer.evaluation.evaluate import EVALUATION_SEED
from lentigo_trainer.evaluation.exported_model import EngineAnswers, saved_model_answers
from lentigo_trainer.evaluation.image_sets import HOLD_OUT, VALIDATION, ImageSet
from lentigo_trainer.evaluation.referral import Refused, refused_by
from lentigo_trainer.evaluation.report import Scorecard, score, subject_of
from lentigo_trainer.system.progress import Progress

APART: Final = "none: the split that trained it keeps these lesions apart."


def measure_candidate(
    files: Path,
    manifest: Manifest,
    prepared: Prepared,
    rows: TrainingRows,
    validation: EngineAnswers,
    progress: Progress,
) -> Evidence:
    """Measure a candidate on the hold-out, if its recipe keeps one, and on the validation images.

    Args:
        files: the candidate's, with its SavedModel.
        manifest: of the candidate.
        prepared: the data set.
        rows: which images trained it and which did not.
        validation: what it said of the validation images.
        progress: told how many images are done.

    Returns:
        The figures, those on the hold-out first.

    Raises:
        DamagedVersionError: the SavedModel cannot be loaded.
    """
    chosen = _image_set(VALIDATION.description, prepared, rows.whole.validation)
    cards = [_scored(manifest, chosen, validation, _flawed(prepared, rows.whole.validation))]
    if len(rows.hold_out):
        said = saved_model_answers(files, prepared.images[rows.hold_out], progress)
        held_out = _image_set(HOLD_OUT.description, prepared, rows.hold_out)
        cards.insert(0, _scored(manifest, held_out, said, _flawed(prepared, rows.hold_out)))
    main, *further = cards
    return checked(manifest, main, further)


def _image_set(description: str, prepared: Prepared, rows: Rows) -> ImageSet:
    people = prepared.records.iloc[rows]
    # The pixels are at hand already, so nothing is read from its source again.
    names, truth = tuple(people["image_id"]), np.asarray(prepared.labels[rows])
    return ImageSet(description, names, truth, (), people, prepared.records)


def _flawed(prepared: Prepared, rows: Rows) -> Refused:
    # How large they were was not kept; an image too small to be judged is none of HAM10000.
    pictures = (prepared.images[row] for row in rows)
    return np.array([bool(flaws_of(each, LEAST_SIDE, LEAST_SIDE)) for each in pictures])


def _scored(
    manifest: Manifest, images: ImageSet, said: EngineAnswers, flawed: Refused
) -> Scorecard:
    subject = subject_of(manifest, manifest.version)
    refused = refused_by(manifest.unlikeness, said, flawed)
    return score(subject, images, APART, said.probabilities, manifest, EVALUATION_SEED, refused)
