import csv
import errno
import os
from pathlib import Path

import pytest
import tensorflow as tf

from lentigo_contract.errors import StorageError
from lentigo_trainer.training.tracking.epoch_log import EpochLog
from lentigo_trainer.training.work_folder import EpochMetrics


def epoch(number: int) -> EpochMetrics:
    return EpochMetrics(
        epoch=number,
        accuracy=number / 10,
        loss=1 / number,
        validation_accuracy=number / 20,
        validation_loss=2 / number,
        seconds=1.5,
    )


def scalars(folder: Path) -> dict[tuple[str, int], float]:
    """Every scalar of a folder of event files; one that stands there twice is an error."""
    found: dict[tuple[str, int], float] = {}
    for file in folder.glob("events.*"):
        for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
            event = tf.compat.v1.Event.FromString(record)
            for value in event.summary.value:
                assert (value.tag, event.step) not in found
                found[value.tag, event.step] = float(tf.make_ndarray(value.tensor))
    return found


def test_tensorboard_finds_both_sides_under_the_same_names(tmp_path: Path) -> None:
    log = EpochLog(tmp_path)
    log.add(epoch(1))
    log.add(epoch(2))
    training, validation = (scalars(tmp_path / "logs" / s) for s in ("training", "validation"))
    assert training == pytest.approx(
        {("accuracy", 1): 0.1, ("loss", 1): 1.0, ("accuracy", 2): 0.2, ("loss", 2): 0.5}
    )
    assert validation == pytest.approx(
        {("accuracy", 1): 0.05, ("loss", 1): 2.0, ("accuracy", 2): 0.1, ("loss", 2): 1.0}
    )


def test_the_table_has_a_row_for_every_epoch(tmp_path: Path) -> None:
    log = EpochLog(tmp_path)
    log.add(epoch(1))
    with (tmp_path / "epochs.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert {name: float(value) for name, value in row.items()} == {
        "epoch": 1,
        "accuracy": 0.1,
        "loss": 1.0,
        "validation_accuracy": 0.05,
        "validation_loss": 2.0,
        "seconds": 1.5,
    }


def test_a_resumed_run_logs_every_epoch_once(tmp_path: Path) -> None:
    # Killed after epoch 2 was saved, but before it was logged.
    EpochLog(tmp_path).add(epoch(1))
    EpochLog(tmp_path, [epoch(1), epoch(2)]).add(epoch(3))
    assert {step for _, step in scalars(tmp_path / "logs" / "training")} == {1, 2, 3}
    assert len((tmp_path / "epochs.csv").read_text().splitlines()) == 4


def test_a_full_disk_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_path: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tf.summary, "create_file_writer", full)
    with pytest.raises(StorageError, match="full"):
        EpochLog(tmp_path)
