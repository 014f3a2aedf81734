"""Targets softened by a teacher's answers: distillation.

Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network" (2015,
https://arxiv.org/abs/1503.02531).

The teacher's answers are out-of-fold answers: each is by a network that never saw the lesion, so it
says what the image looks like and not what its label is. A file holds them, so nothing of the
teacher has to be kept or run. A network that is trained for a fold is never tested on an image that
a teacher speaks about; but most of these teachers have seen its test images, so its metrics
may be slightly optimistic. Those on the paper's 938, which no teacher saw, are not.
"""

import hashlib

import numpy as np
import numpy.typing as npt

from lentigo_contract.labels import CODES
from lentigo_trainer.config.fine_tuning import FineTuning
from lentigo_trainer.config.training import TrainingConfig
from lentigo_trainer.data.dataset import Prepared
from lentigo_trainer.data.out_of_fold import read_answers
from lentigo_trainer.data.sampling import Shares
from lentigo_trainer.errors import EvaluationReportError, RecipeError

Logits = npt.NDArray[np.float32]


def teacher_logits(
    config: TrainingConfig, prepared: Prepared, rows: npt.NDArray[np.int64]
) -> Logits | None:
    """Read a teacher's answers, if the recipe has one.

    Args:
        config: how to train.
        prepared: the data set.
        rows: of the data set, [n], that are trained on.

    Returns:
        Logits [n, 7], or None for a recipe without a teacher.

    Raises:
        RecipeError: the recipe has a teacher, but there is no file of its answers.
        EvaluationReportError: the file cannot be read, or lacks an image.
    """
    if config.recipe.fine_tuning is None or config.recipe.fine_tuning.teacher_share == 0:
        return None
    if config.teacher is None:
        raise RecipeError(
            "The recipe has a teacher_share, but no teacher. Give a file of out-of-fold answers "
            "with --teacher."
        )
    answers = read_answers(config.teacher, prepared.records["image_id"].to_numpy(str))
    place = np.full(len(prepared.labels), -1)
    place[answers.rows] = np.arange(len(answers.rows))
    missing = rows[place[rows] < 0]
    if len(missing):
        name = prepared.records["image_id"].iloc[int(missing[0])]
        raise EvaluationReportError(
            f"{config.teacher} has no answer for {len(missing):,} of the training images, such as "
            f"{name}. Take the file of a run on the same data, without --limit."
        )
    found: Logits = answers.logits[place[rows]]
    return found


def digest_of(config: TrainingConfig) -> str | None:
    """Return the SHA-256 of the file of a teacher's answers, in hexadecimal digits.

    Raises:
        EvaluationReportError: it cannot be read.
    """
    if config.teacher is None:
        return None
    try:
        return hashlib.sha256(config.teacher.read_bytes()).hexdigest()
    except OSError as error:
        raise EvaluationReportError(
            f"{config.teacher} cannot be read ({error.strerror or error})."
        ) from error


def one_hot(labels: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Return the targets of n labels, [n, 7]."""
    return np.eye(len(CODES), dtype=np.float32)[labels]


def training_targets(
    labels: npt.NDArray[np.int64], teacher: Logits | None, shares: Shares, settings: FineTuning
) -> npt.NDArray[np.float32]:
    """Return what a network is to answer for each image.

    Args:
        labels: of n images.
        teacher: logits [n, 7] for classes of equal frequency; None without one.
        shares: how often each class is drawn, [7]. The loss speaks of predictions at these shares,
            so the teacher's answer is moved to them too.
        settings: the recipe's; `teacher_share` is the share of a target that is the teacher's.

    Returns:
        Rows that sum to 1, [n, 7].
    """
    own = one_hot(labels)
    if teacher is None:
        return own
    logarithms = np.log(np.where(shares > 0, shares, 1.0))
    moved = teacher.astype(np.float64) + settings.logit_adjustment * logarithms
    moved -= moved.max(axis=1, keepdims=True)
    answers = np.exp(moved)
    answers /= answers.sum(axis=1, keepdims=True)
    share = settings.teacher_share
    return ((1 - share) * own + share * answers).astype(np.float32)
