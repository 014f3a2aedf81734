from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from lentigo_contract.manifest.manifest import Manifest
from lentigo_engines.base import Prediction
from lentigo_trainer.calibration.temperature import best_temperature
from lentigo_trainer.candidate import TUNING_SET, VALIDATION_SET
from lentigo_trainer.config.fine_tuning import FineTuning, Stage
from lentigo_trainer.config.recipe import Recipe
from lentigo_trainer.config.training import TrainingConfig
from lentigo_trainer.data.dataset import Prepared
from lentigo_trainer.data.splits import choose_rows
from lentigo_trainer.evaluation.exported_model import predict_with, probabilities_of
from lentigo_trainer.evaluation.images.image_sets import HOLD_OUT, VALIDATION
from lentigo_trainer.export.manifest import effective_limit
from lentigo_trainer.export.publishing import candidate_files, candidate_manifest
from lentigo_trainer.pipeline import Trained, train
from lentigo_trainer.reporting.model_card.card import model_card
from lentigo_trainer.reporting.model_card.evidence import evaluate_candidate
from lentigo_trainer.system.progress import SilentProgress
from tests.trainer.made_up_runs import run_of

FINE_TUNING = FineTuning(images_per_epoch=24, stages=(Stage(side=64, epochs=1),))
RECIPE = Recipe(name="tried", hold_out=True, epochs=2, batch_size=8, fine_tuning=FINE_TUNING)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> TrainingConfig:
    return run_of(RECIPE, tmp_path_factory.mktemp("work"))


@pytest.fixture(scope="module")
def trained(config: TrainingConfig, prepared: Prepared) -> Trained:
    now = datetime(2026, 11, 25, tzinfo=UTC)
    return train(config, prepared, lambda: now, SilentProgress(), lighter=False)


@pytest.fixture(scope="module")
def manifest(trained: Trained) -> Manifest:
    return candidate_manifest(trained.folder)


def test_a_run_lies_in_the_folder_that_its_recipe_names(
    trained: Trained, config: TrainingConfig
) -> None:
    assert trained.folder == config.work.root / "tried"
    assert len(trained.history) == 2


def test_temperature_and_threshold_come_from_the_tuning_part_and_say_so(
    manifest: Manifest, config: TrainingConfig, prepared: Prepared
) -> None:
    tuning = choose_rows(config, prepared).tuning
    assert manifest.calibration.method == "bias-corrected temperature"
    assert f"{TUNING_SET} (n = {len(tuning)})" in manifest.calibration.note
    assert TUNING_SET in manifest.thresholds.source
    assert TUNING_SET in manifest.thresholds.abstention_source


def test_the_manifest_says_how_the_validation_images_look(
    manifest: Manifest, config: TrainingConfig, prepared: Prepared
) -> None:
    validation = choose_rows(config, prepared).whole.validation
    found = manifest.input_reference
    assert found is not None
    assert (found.n, found.images) == (len(validation), VALIDATION_SET)
    assert 0 < found.brightness[0] < found.brightness[-1] < 255
    assert found.unlikeness is not None


def test_the_limit_of_unlikeness_refuses_hardly_a_tuning_image(
    trained: Trained, manifest: Manifest, config: TrainingConfig, prepared: Prepared
) -> None:
    tuning = choose_rows(config, prepared).tuning
    files = candidate_files(trained.folder)
    told = predict_with("savedmodel", files, prepared.images[tuning], SilentProgress()).unlikeness
    assert told is not None
    assert manifest.unlikeness is not None
    assert (told > manifest.unlikeness.limit).mean() <= 0.005
    assert TUNING_SET in manifest.unlikeness.source
    assert "conv_pw_11_relu" in manifest.unlikeness.method


def test_the_temperature_is_inside_the_saved_model(
    trained: Trained, manifest: Manifest, config: TrainingConfig, prepared: Prepared
) -> None:
    tuning = choose_rows(config, prepared).tuning
    files = candidate_files(trained.folder)
    answers = probabilities_of(files, prepared.images[tuning], SilentProgress())
    # Of what is calibrated already, the best temperature is 1, or close to it where the search
    # came to its end, as it may for a network that has hardly learnt.
    assert manifest.calibration.temperature != pytest.approx(1, rel=0.2)
    left = best_temperature(np.log(answers), prepared.labels[tuning])
    assert left == pytest.approx(1, rel=0.1)


def test_the_manifest_counts_originals_and_nothing_frozen(
    manifest: Manifest, config: TrainingConfig, prepared: Prepared
) -> None:
    rows = choose_rows(config, prepared)
    assert manifest.plan.rows == manifest.split.train == len(rows.used.train)
    assert manifest.parameters.total == 3_236_039
    assert manifest.recipe["name"] == "tried"


@pytest.mark.parametrize(("limit", "recorded"), [(None, None), (50, 50), (84, None), (999, None)])
def test_the_manifest_has_a_limit_that_left_images_out(
    config: TrainingConfig, prepared: Prepared, limit: int | None, recorded: int | None
) -> None:
    quick = replace(config, limit=limit)
    assert effective_limit(quick, choose_rows(quick, prepared)) == recorded


def test_its_card_speaks_of_the_hold_out_and_then_of_the_validation_images(
    trained: Trained, config: TrainingConfig, prepared: Prepared
) -> None:
    card = (candidate_files(trained.folder) / "model-card.md").read_text()
    hold_out = choose_rows(config, prepared).hold_out
    first, second = card.index(f"### On {HOLD_OUT.description}"), card.index("### On the paper's")
    assert first < second
    assert f"\n{len(hold_out)} images of " in card[first:second]
    assert "None of them trained it" in card[first:second]
    assert "of them are refused as unfit" in card[first:second]
    assert "No hold-out was kept" not in card


def test_the_card_of_a_recipe_without_a_hold_out_says_that_there_is_none(
    trained: Trained, config: TrainingConfig, prepared: Prepared, manifest: Manifest
) -> None:
    whole = replace(config, recipe=RECIPE.model_copy(update={"hold_out": False}))
    rows = choose_rows(whole, prepared)
    counts = manifest.split.model_copy(update={"hold_out": 0, "tuning": 0})
    described = manifest.model_copy(update={"split": counts})
    n = len(rows.whole.validation)
    chance = Prediction(
        np.full((n, 7), 1 / 7, np.float32),
        np.zeros((n, 1, 1, 7), np.float32),
        np.zeros(n, np.float32),
    )
    files = candidate_files(trained.folder)
    evidence = evaluate_candidate(files, described, prepared, rows, chance, SilentProgress())
    assert [card.images for card in evidence.sets] == [VALIDATION.description]
    assert "**No hold-out was kept**" in model_card(evidence)
