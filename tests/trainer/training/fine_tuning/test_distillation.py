"""What a teacher's answers do to the targets, and what happens without them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lentigo_trainer.config.fine_tuning import FineTuning
from lentigo_trainer.config.recipe import Recipe
from lentigo_trainer.config.training import TrainingConfig, WorkFolder
from lentigo_trainer.data.dataset import Prepared
from lentigo_trainer.data.out_of_fold import OutOfFold, write_answers
from lentigo_trainer.errors import EvaluationReportError, RecipeError
from lentigo_trainer.training.fine_tuning.distillation import (
    digest_of,
    teacher_logits,
    training_targets,
)
from lentigo_trainer.training.work_folder import Computation, identity_of

NAMES = np.array([f"ISIC_{number}" for number in range(5)])
LABELS = np.array([0, 3, 5, 6, 5])
SHARES = np.array([0.1, 0.05, 0.15, 0.1, 0.2, 0.4, 0.0])
TAUGHT = FineTuning(teacher_share=0.25)
LOGITS = np.random.default_rng(3).normal(size=(5, 7)).astype(np.float32)


def data_set() -> Prepared:
    images = np.zeros((5, 1, 1, 3), np.uint8)
    records = pd.DataFrame({"image_id": NAMES})
    return Prepared(images, records, LABELS, tuple("abcde"), "f" * 64)


def config(fine_tuning: FineTuning, teacher: Path | None = None) -> TrainingConfig:
    recipe = Recipe(fine_tuning=fine_tuning)
    return TrainingConfig(WorkFolder(Path("work")), recipe, "random", 0, None, 1, teacher=teacher)


def answers_of(folder: Path, rows: list[int]) -> Path:
    file = folder / "answers.csv.gz"
    count = len(rows)
    answers = OutOfFold(
        np.array(rows), np.ones(count, np.intp), LOGITS[rows], np.zeros(count, np.float32)
    )
    write_answers(file, answers, NAMES)
    return file


def test_without_a_teacher_a_target_is_the_label() -> None:
    targets = training_targets(LABELS, None, SHARES, FineTuning())
    assert targets.argmax(axis=1).tolist() == LABELS.tolist()
    assert np.sort(targets)[:, -2:].tolist() == [[0, 1]] * 5


def test_a_teacher_gets_its_share_of_every_target() -> None:
    sure = np.full((5, 7), -50, np.float32)
    sure[:, 2] = 50
    targets = training_targets(LABELS, sure, SHARES, TAUGHT)
    assert targets[:, 2] == pytest.approx([0.25] * 5)
    assert targets[np.arange(5), LABELS] == pytest.approx([0.75] * 5)


def test_a_teacher_that_knows_nothing_answers_how_often_each_class_is_drawn() -> None:
    """Its logits are for classes of equal frequency, and the loss is not."""
    shares = np.full(7, 0.1)
    shares[5] = 0.4
    targets = training_targets(LABELS, np.zeros((5, 7), np.float32), shares, TAUGHT)
    own = 0.75 * np.eye(7)[LABELS]
    assert targets == pytest.approx(own + 0.25 * shares)


def test_targets_sum_to_one_whatever_the_teacher_says() -> None:
    extreme = np.array([[1e30, -1e30, 0, 0, 0, 0, 0]] * 5, np.float32)
    for logits in (LOGITS, extreme):
        targets = training_targets(LABELS, logits, SHARES, TAUGHT)
        assert targets.sum(axis=1) == pytest.approx([1] * 5)


def test_answers_are_found_by_name(tmp_path: Path) -> None:
    file = answers_of(tmp_path, [4, 0, 2])
    rows = np.array([0, 2, 4])
    found = teacher_logits(config(TAUGHT, file), data_set(), rows)
    assert found == pytest.approx(LOGITS[rows], abs=1e-4)


def test_a_recipe_without_a_teacher_reads_nothing(tmp_path: Path) -> None:
    absent = tmp_path / "absent.csv.gz"
    assert teacher_logits(config(FineTuning(), absent), data_set(), np.arange(5)) is None


def test_a_recipe_with_a_teacher_asks_for_its_answers() -> None:
    with pytest.raises(RecipeError, match="out-of-fold answers with --teacher"):
        teacher_logits(config(TAUGHT), data_set(), np.arange(5))


def test_images_that_the_teacher_never_saw_are_named(tmp_path: Path) -> None:
    file = answers_of(tmp_path, [0, 1, 2])
    with pytest.raises(EvaluationReportError, match=r"no answer for 2 .* such as ISIC_3"):
        teacher_logits(config(TAUGHT, file), data_set(), np.arange(5))


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(EvaluationReportError, match="cannot be read"):
        digest_of(config(TAUGHT, tmp_path / "absent.csv.gz"))


def test_other_answers_are_another_run(tmp_path: Path) -> None:
    computation = Computation("2.21", "float32")
    first = config(TAUGHT, answers_of(tmp_path, [0, 1, 2, 3, 4]))
    one = identity_of(first, "d", "b", computation, teacher=digest_of(first))
    other = replace(first, teacher=answers_of(tmp_path, [0, 1, 2, 3]))
    two = identity_of(other, "d", "b", computation, teacher=digest_of(other))
    assert one != two


def test_a_recipe_without_a_teacher_is_written_as_before_there_were_any() -> None:
    written = Recipe(fine_tuning=FineTuning()).model_dump(mode="json")
    assert "teacher_share" not in written["fine_tuning"]
    taught = Recipe(fine_tuning=TAUGHT)
    assert Recipe.model_validate_json(taught.model_dump_json()) == taught
