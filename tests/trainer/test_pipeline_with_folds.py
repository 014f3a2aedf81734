from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from lentigo_contract.manifest.manifest import Manifest
from lentigo_trainer.calibration.cross_validation import measure_out_of_fold
from lentigo_trainer.config.fine_tuning import FineTuning, Stage
from lentigo_trainer.config.training import TrainingConfig, WorkFolder
from lentigo_trainer.data.dataset import Prepared
from lentigo_trainer.data.duplicates.known import merged_lesions
from lentigo_trainer.data.out_of_fold import ANSWERS_NAME, read_answers
from lentigo_trainer.data.splits import choose_rows
from lentigo_trainer.errors import RecipeError
from lentigo_trainer.export.publishing import candidate_files, candidate_manifest
from lentigo_trainer.metrics.out_of_fold import OutOfFoldMetrics
from lentigo_trainer.pipeline import Trained, train, train_folds
from lentigo_trainer.system.progress import SilentProgress
from tests.trainer.made_up_runs import folded, run_of

RECIPE = folded(small_epochs=1)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> TrainingConfig:
    return run_of(RECIPE, tmp_path_factory.mktemp("work"))


@pytest.fixture(scope="module")
def trained(config: TrainingConfig, prepared: Prepared) -> Trained:
    now = datetime(2026, 11, 29, tzinfo=UTC)
    return train(config, prepared, lambda: now, SilentProgress(), lighter=False)


@pytest.fixture(scope="module")
def manifest(trained: Trained) -> Manifest:
    return candidate_manifest(trained.folder)


def test_the_published_network_learns_from_all_training_images(
    manifest: Manifest, config: TrainingConfig, prepared: Prepared
) -> None:
    rows = choose_rows(config, prepared)
    assert manifest.split.train == manifest.plan.rows == len(rows.used.train)
    assert manifest.split.tuning == manifest.split.hold_out == 0
    assert manifest.recipe["folds"] == 2


def test_calibration_and_thresholds_rest_on_the_out_of_fold_answers_and_say_so(
    manifest: Manifest, config: TrainingConfig, prepared: Prepared
) -> None:
    count = len(choose_rows(config, prepared).used.train)
    said = "answers of 2 sister networks for HAM10000's training images"
    assert manifest.malignancy_calibration is not None
    assert manifest.unlikeness is not None
    for text in (
        manifest.calibration.note,
        manifest.malignancy_calibration.source,
        manifest.thresholds.source,
        manifest.thresholds.abstention_source,
        manifest.unlikeness.source,
    ):
        assert said in text
    assert f"(n = {count})" in manifest.calibration.note


def test_the_probabilities_hold_at_the_prevalence_of_the_training_images(
    manifest: Manifest, config: TrainingConfig, prepared: Prepared
) -> None:
    labels = prepared.labels[choose_rows(config, prepared).used.train]
    assert manifest.prevalence is not None
    assert list(manifest.prevalence.values()) == pytest.approx(
        (np.bincount(labels, minlength=7) / len(labels)).tolist()
    )


def test_the_manifest_and_the_card_have_the_out_of_fold_metrics(
    manifest: Manifest, trained: Trained, config: TrainingConfig, prepared: Prepared
) -> None:
    assert manifest.out_of_fold is not None
    found = OutOfFoldMetrics.model_validate(manifest.out_of_fold)
    rows = choose_rows(config, prepared).folds.rows
    assert (found.folds, found.images) == (2, len(rows))
    again = measure_out_of_fold(
        read_answers(trained.folder / ANSWERS_NAME, prepared.records["image_id"].to_numpy(str)),
        prepared.labels,
        merged_lesions(prepared.records),
    )
    value = again.metrics["balanced_accuracy"].value
    assert found.metrics["balanced_accuracy"].value == pytest.approx(value, abs=0.02)
    card = (candidate_files(trained.folder) / "model-card.md").read_text()
    assert "These are not its own answers" in card
    assert (
        f"| Balanced accuracy | {100 * (found.metrics['balanced_accuracy'].value or 0):.1f} %"
        in card
    )


def test_folds_alone_leave_their_answers_and_no_candidate(
    config: TrainingConfig, prepared: Prepared, tmp_path: Path
) -> None:
    small = FineTuning(images_per_epoch=16, stages=(Stage(side=32, epochs=2),))
    recipe = RECIPE.model_copy(update={"fine_tuning": small})
    alone = replace(config, work=WorkFolder(tmp_path), recipe=recipe)
    file = train_folds(alone, prepared, SilentProgress())
    answers = read_answers(file, prepared.records["image_id"].to_numpy(str))
    assert (answers.rows == choose_rows(config, prepared).used.train).all()
    assert not candidate_files(file.parent).exists()
    with pytest.raises(RecipeError, match="--folds-only"):
        train(alone, prepared, lambda: datetime(2026, 11, 29, tzinfo=UTC), SilentProgress())


def test_a_recipe_without_folds_has_no_folds_to_train(
    config: TrainingConfig, prepared: Prepared
) -> None:
    recipe = RECIPE.model_copy(update={"folds": 0})
    with pytest.raises(RecipeError, match="Add `folds = 5`"):
        train_folds(replace(config, recipe=recipe), prepared, SilentProgress())


def test_its_card_does_not_claim_a_hold_out(trained: Trained) -> None:
    card = (candidate_files(trained.folder) / "model-card.md").read_text()
    assert "sister networks" in card
