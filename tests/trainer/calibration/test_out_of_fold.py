import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lentigo_contract.decision import decide, malignant_probability
from lentigo_trainer.calibration import out_of_fold
from lentigo_trainer.calibration.out_of_fold import calibrate_out_of_fold, cross_fit, fit_fold
from lentigo_trainer.config.training import TrainingConfig
from lentigo_trainer.data.dataset import Prepared
from lentigo_trainer.data.out_of_fold import ANSWERS_NAME, OutOfFold, read_answers, write_answers
from lentigo_trainer.data.splits import TrainingRows, choose_rows
from lentigo_trainer.errors import DamagedCacheError, EvaluationReportError
from lentigo_trainer.system.progress import SilentProgress
from lentigo_trainer.training.fit import TrainedNetwork
from tests.trainer.made_up_runs import folded, run_of

RECIPE = folded(small_epochs=2)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> TrainingConfig:
    return run_of(RECIPE, tmp_path_factory.mktemp("work"))


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
    assert answers.unlikeness is not None
    assert (answers.unlikeness >= 0).all()
    assert set(answers.fold) == {1, 2}


def test_a_network_answers_at_the_size_that_it_learnt_last(
    config: TrainingConfig,
    prepared: Prepared,
    rows: TrainingRows,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sides = []
    whole = TrainedNetwork.validation_logits

    def noted(trained: TrainedNetwork, side: int) -> object:
        sides.append(side)
        return whole(trained, side)

    monkeypatch.setattr(TrainedNetwork, "validation_logits", noted)
    fit_fold(config, prepared, rows, tmp_path, 1, SilentProgress())
    assert sides == [32]


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


def test_the_answers_are_written_to_a_file_of_the_run(
    finished: tuple[Path, OutOfFold], prepared: Prepared
) -> None:
    folder, answers = finished
    read = read_answers(folder / ANSWERS_NAME, prepared.records["image_id"].to_numpy(str))
    np.testing.assert_array_equal(read.rows, answers.rows)
    np.testing.assert_array_equal(read.fold, answers.fold)
    np.testing.assert_allclose(read.logits, answers.logits, atol=6e-5)
    assert read.unlikeness is not None
    assert answers.unlikeness is not None
    np.testing.assert_allclose(read.unlikeness, answers.unlikeness, atol=6e-4)


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / ANSWERS_NAME
    file.write_bytes(gzip.compress(text.encode()))
    return file


HEAD = "image_id,fold,akiec,bcc,bkl,df,mel,nv,vasc,ood_score\n"
ROW = "first,1,0,0,0,0,0,0,0,1\n"


def test_given_answers_stand_in_for_the_folds(
    config: TrainingConfig,
    prepared: Prepared,
    rows: TrainingRows,
    finished: tuple[Path, OutOfFold],
    tmp_path: Path,
) -> None:
    folder, answers = finished
    given = replace(config, out_of_fold=folder / ANSWERS_NAME)
    found = cross_fit(given, prepared, rows, tmp_path, SilentProgress())
    assert [path.name for path in tmp_path.iterdir()] == [ANSWERS_NAME]
    assert (tmp_path / ANSWERS_NAME).read_bytes() == (folder / ANSWERS_NAME).read_bytes()
    assert (found.fold == answers.fold).all()
    assert found.logits == pytest.approx(answers.logits, abs=1e-4)


def test_given_answers_of_other_folds_are_refused(
    config: TrainingConfig,
    prepared: Prepared,
    rows: TrainingRows,
    finished: tuple[Path, OutOfFold],
    tmp_path: Path,
) -> None:
    _, answers = finished
    names = prepared.records["image_id"].to_numpy(str)
    others = (
        replace(answers, fold=3 - answers.fold),
        OutOfFold(answers.rows[1:], answers.fold[1:], answers.logits[1:], None),
    )
    for number, other in enumerate(others):
        file = tmp_path / f"{number}.csv.gz"
        write_answers(file, other, names)
        with pytest.raises(EvaluationReportError, match="other images or other folds"):
            cross_fit(replace(config, out_of_fold=file), prepared, rows, tmp_path, SilentProgress())


def test_scores_of_an_earlier_release_are_not_read(tmp_path: Path) -> None:
    file = written(tmp_path, HEAD.replace("ood_score", "unlikeness") + ROW)
    answers = read_answers(file, np.array(["first"]))
    assert answers.unlikeness is None
    write_answers(tmp_path / "again.csv.gz", answers, np.array(["first"]))
    assert read_answers(tmp_path / "again.csv.gz", np.array(["first"])).unlikeness is None


def test_answers_in_another_order_are_sorted_as_the_data_set(tmp_path: Path) -> None:
    file = written(tmp_path, HEAD + ROW.replace("first,1", "second,2") + ROW)
    assert read_answers(file, np.array(["first", "second"])).fold.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + ROW.replace("first", "unknown"), "lacks, such as unknown"),
        (HEAD + ROW + ROW, "gaps or doubles"),
        (HEAD + ROW.replace("0,1\n", ",1\n"), "gaps or doubles"),
        (HEAD.replace("mel", "melanoma") + ROW, "does not hold out-of-fold answers"),
        (HEAD + ROW.replace("first,1", "first,one"), "does not hold out-of-fold answers"),
        ("", "does not hold out-of-fold answers"),
    ],
    ids=["unknown", "double", "gap", "column", "type", "empty"],
)
def test_a_file_of_anything_else_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(EvaluationReportError, match=message):
        read_answers(written(tmp_path, text), np.array(["first"]))


@pytest.mark.parametrize(
    "content",
    [b"", b"image_id", gzip.compress(HEAD.encode(), mtime=0)[:-9]],
    ids=["empty", "text", "cut"],
)
def test_a_file_that_is_not_gzip_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / ANSWERS_NAME
    file.write_bytes(content)
    with pytest.raises(EvaluationReportError, match="does not hold out-of-fold answers"):
        read_answers(file, np.array(["first"]))


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
