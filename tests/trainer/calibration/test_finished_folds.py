"""Whose finished folds a run takes up. `test_out_of_fold.py` has folds that were trained."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lentigo_trainer.calibration import out_of_fold
from lentigo_trainer.calibration.out_of_fold import cross_fit
from lentigo_trainer.config.training import TrainingConfig
from lentigo_trainer.data.dataset import Prepared
from lentigo_trainer.data.splits import TrainingRows, choose_rows
from lentigo_trainer.errors import WorkFolderError
from lentigo_trainer.system.progress import SilentProgress
from lentigo_trainer.training.fit import run_identity
from lentigo_trainer.training.work_folder import adopt
from tests.trainer.made_up_runs import folded, run_of

RECIPE = folded(small_epochs=2)


class Said(SilentProgress):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> TrainingConfig:
    return run_of(RECIPE, tmp_path_factory.mktemp("work"))


@pytest.fixture(scope="module")
def rows(config: TrainingConfig, prepared: Prepared) -> TrainingRows:
    return choose_rows(config, prepared)


@pytest.fixture(scope="module")
def identity(config: TrainingConfig, prepared: Prepared) -> dict[str, object]:
    return run_identity(config, prepared)


@pytest.fixture(autouse=True)
def _nothing_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(out_of_fold, "train_network", None)


@pytest.fixture
def folder(tmp_path: Path, rows: TrainingRows, identity: dict[str, object]) -> Path:
    """The folder of a run whose two folds are finished, with answers that are made up."""
    draw = np.random.default_rng(7)
    for number in (1, 2):
        own = tmp_path / f"fold_{number}"
        own.mkdir()
        count = int(np.count_nonzero(rows.folds.fold == number))
        logits = draw.normal(size=(count, 7)).astype(np.float32)
        np.savez(own / "answers.npz", logits=logits, ood_score=np.zeros(count, np.float32))
        adopt(own, identity)
    return tmp_path


def change(folder: Path, **members: object) -> None:
    """Have a fold say something else of who made it."""
    file = folder / "run.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | members))


def test_a_run_keeps_its_identity_whatever_the_process_built_before(
    config: TrainingConfig, prepared: Prepared, identity: dict[str, object]
) -> None:
    """The weights are random, and building another network draws from the same generator."""
    assert run_identity(config, prepared) == identity


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"seed": 1}, "another seed"),
        ({"limit": 30}, "another limit"),
        (
            {"recipe": RECIPE.model_copy(update={"batch_size": 4})},
            r"recipe \(batch_size 8, now 4\)",
        ),
    ],
)
def test_a_fold_of_another_run_is_refused_by_what_differs(
    changes: dict[str, Any],
    named: str,
    folder: Path,
    config: TrainingConfig,
    prepared: Prepared,
    rows: TrainingRows,
) -> None:
    other = replace(config, **changes)
    with pytest.raises(WorkFolderError, match=rf"fold_1 was made with .*{named}") as caught:
        cross_fit(other, prepared, rows, folder, SilentProgress())
    assert "delete that folder" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("made", "named"),
    [
        ({"code_version": "0.0.1"}, r"code version \(0\.0\.1, now "),
        ({"dataset": "other", "tensorflow": "1.0"}, r"dataset, TensorFlow \(1\.0, now "),
        ({"backbone": "other weights"}, "backbone"),
    ],
)
def test_a_fold_of_another_release_or_of_other_data_is_refused(
    made: dict[str, str],
    named: str,
    folder: Path,
    config: TrainingConfig,
    prepared: Prepared,
    rows: TrainingRows,
) -> None:
    change(folder / "fold_2", **made)
    with pytest.raises(WorkFolderError, match=f"fold_2 was made with another {named}"):
        cross_fit(config, prepared, rows, folder, SilentProgress())


def test_a_fold_that_is_damaged_or_of_an_older_release_is_refused(
    folder: Path, config: TrainingConfig, prepared: Prepared, rows: TrainingRows
) -> None:
    (folder / "fold_2/run.json").write_text("{")
    with pytest.raises(WorkFolderError, match=r"Delete .*fold_2"):
        cross_fit(config, prepared, rows, folder, SilentProgress())
    (folder / "fold_2/run.json").write_text('{"seed": 0}')
    with pytest.raises(WorkFolderError, match=r"fold_2 was made by an older release"):
        cross_fit(config, prepared, rows, folder, SilentProgress())


def test_folds_are_taken_under_another_name_from_another_machine_and_without_run_json(
    folder: Path, config: TrainingConfig, prepared: Prepared, rows: TrainingRows
) -> None:
    change(folder / "fold_1", arithmetic="that of another machine")
    (folder / "fold_2/run.json").unlink()
    renamed = replace(config, recipe=RECIPE.model_copy(update={"name": "renamed"}))
    said = Said()
    answers = cross_fit(renamed, prepared, rows, folder, said)
    assert (answers.rows == rows.used.train).all()
    assert said.lines == [
        "Fold 1 of 2 is finished",
        "Fold 2 of 2 is finished; it does not say by which recipe",
    ]
