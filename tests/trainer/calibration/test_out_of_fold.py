from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lentigo_contract.decision import decide, malignant_probability
from lentigo_trainer.calibration import out_of_fold
from lentigo_trainer.calibration.out_of_fold import (
    OutOfFold,
    calibrate_out_of_fold,
    cross_fit,
    fit_fold,
)
from lentigo_trainer.config.recipe import FineTuning, Recipe, Stage
from lentigo_trainer.config.training import TrainingConfig, WorkFolder
from lentigo_trainer.data.dataset import Prepared, prepare
from lentigo_trainer.data.ham10000 import find_source
from lentigo_trainer.data.splits import TrainingRows, choose_rows
from lentigo_trainer.errors import DamagedCacheError
from lentigo_trainer.system.progress import SilentProgress
from tests.fakes import synthetic_ham10000

RECIPE = Recipe(
    name="folded",
    folds=2,
    epochs=2,
    batch_size=8,
    fine_tuning=FineTuning(images_per_epoch=16, stages=(Stage(side=32, epochs=2),)),
)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("data")
    source = synthetic_ham10000(folder / "ham", 12, "folders", size=(64, 48))
    return prepare(find_source(source), folder / "prepared", 1, SilentProgress())


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> TrainingConfig:
    work = WorkFolder(tmp_path_factory.mktemp("work"))
    return TrainingConfig(work, RECIPE, "random", seed=0, limit=None, cores=1)


@pytest.fixture(scope="module")
def rows(config: TrainingConfig, prepared: Prepared) -> TrainingRows:
    return choose_rows(config, prepared)


@pytest.fixture(scope="module")
def finished(
    config: TrainingConfig, prepared: Prepared, rows: TrainingRows
) -> tuple[Path, OutOfFold]:
    folder = config.work.run(config.recipe)
    folder.mkdir()
    return folder, cross_fit(config, prepared, rows, folder, SilentProgress())


def test_every_training_image_is_answered_once(
    finished: tuple[Path, OutOfFold], rows: TrainingRows
) -> None:
    _, answers = finished
    assert (answers.rows == rows.used.train).all()
    assert answers.logits.shape == (len(answers.rows), 7)
    assert np.isfinite(answers.logits).all()
    assert (answers.unlikeness >= 0).all()
    assert set(answers.fold) == {1, 2}


def test_finished_folds_are_not_trained_again(
    finished: tuple[Path, OutOfFold],
    config: TrainingConfig,
    prepared: Prepared,
    rows: TrainingRows,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, answers = finished
    monkeypatch.setattr(out_of_fold, "train_network", None)
    again = cross_fit(config, prepared, rows, folder, SilentProgress())
    np.testing.assert_array_equal(again.logits, answers.logits)


def test_a_fold_trained_alone_is_the_same(
    finished: tuple[Path, OutOfFold],
    config: TrainingConfig,
    prepared: Prepared,
    rows: TrainingRows,
    tmp_path: Path,
) -> None:
    _, answers = finished
    fit_fold(config, prepared, rows, tmp_path, 2, SilentProgress())
    with np.load(tmp_path / "fold_2" / "answers.npz") as alone:
        np.testing.assert_allclose(alone["logits"], answers.logits[answers.fold == 2], rtol=1e-4)


@pytest.mark.parametrize("damage", [b"", b"PK nothing"])
def test_damaged_answers_name_the_folder_to_delete(
    damage: bytes,
    finished: tuple[Path, OutOfFold],
    config: TrainingConfig,
    prepared: Prepared,
    rows: TrainingRows,
    tmp_path: Path,
) -> None:
    folder, _ = finished
    for number in (1, 2):
        own = tmp_path / f"fold_{number}"
        own.mkdir()
        whole = (folder / f"fold_{number}" / "answers.npz").read_bytes()
        (own / "answers.npz").write_bytes(whole if number == 1 else damage)
    with pytest.raises(DamagedCacheError, match=r"Delete .*fold_2"):
        cross_fit(config, prepared, rows, tmp_path, SilentProgress())


def test_answers_for_other_images_are_refused(
    finished: tuple[Path, OutOfFold],
    config: TrainingConfig,
    prepared: Prepared,
    rows: TrainingRows,
) -> None:
    folder, _ = finished
    fewer = replace(rows.folds, rows=rows.folds.rows[1:], fold=rows.folds.fold[1:])
    with pytest.raises(DamagedCacheError, match="other images"):
        cross_fit(config, prepared, replace(rows, folds=fewer), folder, SilentProgress())


def test_calibrated_answers_hold_at_the_prevalence_of_their_images() -> None:
    draw = np.random.default_rng(0)
    labels = draw.choice(7, 5_000, p=[0.03, 0.05, 0.11, 0.02, 0.11, 0.66, 0.02])
    logits = (draw.normal(0, 1.5, (5_000, 7)) + 2 * np.eye(7)[labels]).astype(np.float32)
    answers = OutOfFold(np.arange(5_000), np.ones(5_000, np.intp), logits, np.ones(5_000, "f4"))
    meaning, calibrated = calibrate_out_of_fold(answers, labels, "made up")
    assert meaning.prevalence is not None
    shares = np.bincount(labels, minlength=7) / 5_000
    assert list(meaning.prevalence.values()) == pytest.approx(shares.tolist())
    assert calibrated.probabilities.mean(axis=0) == pytest.approx(shares, abs=2e-3)
    malignant = malignant_probability(calibrated.probabilities, meaning.malignancy_calibration)
    assert malignant.mean() == pytest.approx(np.isin(labels, [0, 1, 4]).mean(), abs=2e-3)
    # Decided as if all were equally frequent, the rare are found more often.
    balanced = decide(calibrated.probabilities, meaning.prevalence)
    recalls = [
        np.mean([(decided[labels == code] == code).mean() for code in range(7)])
        for decided in (balanced, calibrated.probabilities.argmax(axis=1))
    ]
    assert recalls[0] > recalls[1] + 0.05
