from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from lentigo_trainer.errors import DivergedError
from lentigo_trainer.system.progress import SilentProgress
from lentigo_trainer.training.loop import finished_epochs, run_epochs, train_epoch
from lentigo_trainer.training.work_folder import EpochMetrics

BATCHES = [(tf.zeros((2, 3)), tf.zeros(2, tf.int64))] * 4


def metrics(epoch: int, validation_loss: float = 1.0) -> EpochMetrics:
    return EpochMetrics(
        epoch=epoch,
        accuracy=0.5,
        loss=1.0,
        validation_accuracy=0.5,
        validation_loss=validation_loss,
        seconds=1.0,
    )


def pass_with(*losses: float) -> tuple[float, float]:
    """Train on one batch for each of some losses."""
    left = iter(losses)

    def step(_inputs: tf.Tensor, _labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.constant(next(left)), tf.constant(0.5)

    batches = BATCHES[: len(losses)]
    return train_epoch(batches, step, 2 * len(losses), 2, "Epoch 3 of 25", SilentProgress())


def test_finite_losses_are_averaged() -> None:
    assert pass_with(1.0, 2.0) == (1.5, 0.5)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("place", [1, 2, 4])
def test_a_loss_that_is_not_finite_ends_the_epoch_with_its_number_and_the_batch(
    value: float, place: int
) -> None:
    losses = [1.0] * 4
    losses[place - 1] = value
    told = f"Epoch 3 of 25, batch {place}: the loss is {value}, .*Lower the learning rates"
    with pytest.raises(DivergedError, match=told):
        pass_with(*losses)


@pytest.mark.parametrize("in_training", [True, False])
def test_the_epochs_before_it_are_kept(tmp_path: Path, in_training: bool) -> None:
    variable = keras.Variable(np.zeros(1, np.float32))

    def epoch(number: int) -> EpochMetrics:
        variable.assign([float(number)])
        if number == 3 and in_training:
            pass_with(float("nan"))
        return metrics(number, float("nan") if number == 3 else 1.0)

    def run(last: int) -> None:
        run_epochs(last, [variable], epoch, tmp_path / "c.npz", SilentProgress())

    with pytest.raises(DivergedError, match="Epoch 3 of "):
        run(5)
    assert [each.epoch for each in finished_epochs(tmp_path / "c.npz")] == [1, 2]
    # What the broken epoch did to the weights is not on disk.
    run(2)
    assert variable.numpy() == [2.0]
