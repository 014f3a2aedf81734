"""The metrics of every epoch, for TensorBoard and as a table.

`logs/training` and `logs/validation` hold event files with the scalars `accuracy` and `loss`, so
TensorBoard draws both curves in one plot. `epochs.csv` holds the same as a table. Both are written
again when a run resumes, so each epoch appears once, whenever the run was killed.
"""

import csv
import io
import shutil
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Final

import tensorflow as tf

from lentigo_trainer.system.storage import storage_errors, write_whole
from lentigo_trainer.training.work_folder import EpochMetrics

LOGS: Final = "logs"

TABLE: Final = "epochs.csv"

# What `tf.summary.scalar` writes too; but that asks for TensorBoard to be installed, which only
# reading the logs should.
_SCALAR: Final = tf.compat.v1.SummaryMetadata(
    plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars")
)


class EpochLog:
    """Writes the log of one run.

    Args:
        folder: the run's.
        earlier: epochs of earlier runs.

    Raises:
        StorageError: the disk is full or not writable.
    """

    def __init__(self, folder: Path, earlier: Sequence[EpochMetrics] = ()) -> None:
        self._folder = folder
        self._epochs: list[EpochMetrics] = []
        logs = folder / LOGS
        with storage_errors(logs):
            shutil.rmtree(logs, ignore_errors=True)
            self._training, self._validation = (
                tf.summary.create_file_writer(str(logs / side))
                for side in ("training", "validation")
            )
        for epoch in earlier:
            self._write_events(epoch)
            self._epochs.append(epoch)
        self._write_table()

    def add(self, epoch: EpochMetrics) -> None:
        """Log one more epoch.

        Raises:
            StorageError: the disk is full or not writable.
        """
        self._epochs.append(epoch)
        self._write_events(epoch)
        self._write_table()

    def _write_events(self, epoch: EpochMetrics) -> None:
        sides = (
            (self._training, epoch.accuracy, epoch.loss),
            (self._validation, epoch.validation_accuracy, epoch.validation_loss),
        )
        with storage_errors(self._folder / LOGS):
            for writer, accuracy, loss in sides:
                with writer.as_default(step=epoch.epoch):
                    for tag, value in (("accuracy", accuracy), ("loss", loss)):
                        tf.summary.write(tag, tf.constant(value, tf.float32), metadata=_SCALAR)
                writer.flush()

    def _write_table(self) -> None:
        text = io.StringIO()
        rows = [epoch.row() for epoch in self._epochs]
        present = {name for row in rows for name in row}
        optional = {"validation_balanced_accuracy"} - present
        names = [field.name for field in fields(EpochMetrics) if field.name not in optional]
        table = csv.DictWriter(text, names, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
        content = text.getvalue().encode()
        write_whole(self._folder / TABLE, lambda file: file.write(content))
