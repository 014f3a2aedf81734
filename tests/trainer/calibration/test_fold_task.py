from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lentigo_trainer.calibration.fold_task import FailedFold, FoldTask, run_fold_task
from lentigo_trainer.config.training import TrainingConfig
from lentigo_trainer.training.work_folder import EpochMetrics
from tests.trainer.made_up_runs import folded, prepared_images, run_of

RECIPE = folded(small_epochs=1)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> TrainingConfig:
    # The work folder that the images are prepared into is the one that the task looks in.
    folder = tmp_path_factory.mktemp("task")
    prepared_images(folder)
    return run_of(RECIPE, folder)


def timeless(history: object) -> list[EpochMetrics]:
    assert isinstance(history, tuple), history
    return [replace(each, seconds=0.0) for each in history]


def test_a_fold_that_was_left_for_later_ends_as_one_trained_in_one_go(
    config: TrainingConfig,
) -> None:
    folder = config.work.run(RECIPE) / "fold_1"
    first = run_fold_task(FoldTask(config, 1, epochs=1))
    assert len(timeless(first)) == 1
    assert not (folder / "answers.npz").exists()
    # Asked once more for the same, it trains nothing.
    checkpoint = (folder / "checkpoint.npz").stat().st_mtime_ns
    assert timeless(run_fold_task(FoldTask(config, 1, epochs=1))) == timeless(first)
    assert (folder / "checkpoint.npz").stat().st_mtime_ns == checkpoint

    later = run_fold_task(FoldTask(config, 1, epochs=2))
    with np.load(folder / "answers.npz") as kept:
        logits = kept["logits"]
    other = replace(config, recipe=RECIPE.model_copy(update={"name": "at_once"}))
    whole = run_fold_task(FoldTask(other, 1, epochs=2))
    assert timeless(later) == timeless(whole)
    assert timeless(later)[:1] == timeless(first)
    with np.load(other.work.run(other.recipe) / "fold_1" / "answers.npz") as kept:
        assert np.array_equal(kept["logits"], logits)
    # A finished fold is not trained again.
    assert timeless(run_fold_task(FoldTask(config, 1, epochs=2))) == timeless(later)


def test_a_task_without_prepared_images_says_what_to_do(tmp_path: Path) -> None:
    outcome = run_fold_task(FoldTask(run_of(RECIPE, tmp_path), 1, epochs=1))
    assert isinstance(outcome, FailedFold)
    assert "Run `lentigo-train prepare` first" in outcome.reason


def test_a_damaged_checkpoint_fails_with_its_reason(config: TrainingConfig) -> None:
    broken = replace(config, recipe=RECIPE.model_copy(update={"name": "broken"}))
    folder = broken.work.run(broken.recipe) / "fold_1"
    folder.mkdir(parents=True)
    (folder / "checkpoint.npz").write_bytes(b"half of it")
    outcome = run_fold_task(FoldTask(broken, 1, epochs=1))
    assert isinstance(outcome, FailedFold)
    assert "cannot be read. Delete it to train from the start" in outcome.reason
