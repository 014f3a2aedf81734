from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from lentigo_trainer.config.recipe import Optimizer, Recipe
from lentigo_trainer.errors import DamagedCacheError
from lentigo_trainer.system.progress import SilentProgress
from lentigo_trainer.training.feature_extraction.head import train_head
from lentigo_trainer.training.loop import Examples, finished_epochs, logits_of
from lentigo_trainer.training.work_folder import EpochMetrics

RECIPE = Recipe(epochs=3, batch_size=8, optimizer=Optimizer(learning_rate=0.05, cooldown_epochs=1))


class KilledError(Exception):
    """Stands for a kill between two epochs."""


class Table:
    def __init__(self, values: NDArray[np.float16]) -> None:
        self.values = values

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float16]:
        return self.values[rows]


class Wide:
    def __init__(self, values: NDArray[np.float32]) -> None:
        self.values = values

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        return self.values[rows]


@pytest.fixture(autouse=True)
def deterministic() -> None:
    tf.config.experimental.enable_op_determinism()


def examples(seed: int, rows: int = 60) -> Examples:
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 7, rows)
    centres = np.random.default_rng(99).normal(0, 1, (7, 4, 4, 3))
    values = centres[labels] + draw.normal(0, 0.5, (rows, 4, 4, 3))
    return Examples(Table(values.astype(np.float16)), labels)


def head(seed: int = 0) -> keras.Model:
    start = [keras.initializers.GlorotUniform(seed=seed + n) for n in range(2)]
    features = keras.Input((4, 4, 3))
    hidden = keras.layers.BatchNormalization()(features)
    hidden = keras.layers.Flatten()(hidden)
    hidden = keras.layers.Dense(16, activation="relu", kernel_initializer=start[0])(hidden)
    hidden = keras.layers.Dropout(0.25, seed=seed)(hidden)
    return keras.Model(features, keras.layers.Dense(7, kernel_initializer=start[1])(hidden))


def trained(checkpoint: Path, seed: int = 0, stop_after: int = 99) -> tuple[EpochMetrics, ...]:
    def stop(figures: EpochMetrics) -> None:
        if figures.epoch == stop_after:
            raise KilledError

    return train_head(
        head(), examples(1), examples(2), RECIPE, seed, checkpoint, SilentProgress(), stop
    )


def without_time(history: tuple[EpochMetrics, ...]) -> list[tuple[float, ...]]:
    return [
        (e.epoch, e.loss, e.accuracy, e.validation_loss, e.validation_accuracy) for e in history
    ]


def state(checkpoint: Path) -> dict[str, NDArray[np.float32]]:
    with np.load(checkpoint) as kept:
        return {name: kept[name] for name in kept.files if name != "history"}


def test_training_the_head_lowers_the_loss(tmp_path: Path) -> None:
    history = trained(tmp_path / "c.npz")
    assert [figures.epoch for figures in history] == [1, 2, 3]
    assert history[-1].loss < history[0].loss
    assert history[-1].validation_accuracy > 0.5


@pytest.mark.parametrize("epoch", [1, 2])
def test_a_killed_run_ends_with_the_same_numbers_to_the_bit(tmp_path: Path, epoch: int) -> None:
    whole = trained(tmp_path / "whole.npz")
    with pytest.raises(KilledError):
        trained(tmp_path / "killed.npz", stop_after=epoch)
    resumed = trained(tmp_path / "killed.npz")
    assert without_time(resumed) == without_time(whole)
    left, right = state(tmp_path / "whole.npz"), state(tmp_path / "killed.npz")
    assert all(np.array_equal(left[name], right[name]) for name in left)


def test_a_resumed_run_repeats_no_finished_epoch(tmp_path: Path) -> None:
    with pytest.raises(KilledError):
        trained(tmp_path / "c.npz", stop_after=2)
    seen: list[int] = []
    train_head(
        head(),
        examples(1),
        examples(2),
        RECIPE,
        0,
        tmp_path / "c.npz",
        SilentProgress(),
        lambda figures: seen.append(figures.epoch),
    )
    assert seen == [3]


def test_a_finished_run_restores_its_network(tmp_path: Path) -> None:
    first, second = head(), head(seed=7)
    args = (examples(1), examples(2), RECIPE, 0, tmp_path / "c.npz", SilentProgress())
    train_head(first, *args)
    train_head(second, *args)
    rows = examples(2).features
    assert np.array_equal(logits_of(first, rows, 60), logits_of(second, rows, 60))


def test_the_seed_decides_the_result(tmp_path: Path) -> None:
    first, again, other = (
        without_time(trained(tmp_path / f"{n}.npz", seed)) for n, seed in enumerate((0, 0, 1))
    )
    assert first == again != other


def test_the_validation_metrics_are_those_of_the_validation_rows(tmp_path: Path) -> None:
    model = head()
    history = train_head(
        model, examples(1), examples(2), RECIPE, 0, tmp_path / "c.npz", SilentProgress()
    )
    truth = examples(2).labels
    logits = logits_of(model, examples(2).features, 60)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(truth, logits)
    assert history[-1].validation_accuracy == np.mean(logits.argmax(1) == truth)
    assert history[-1].validation_loss == pytest.approx(float(loss), rel=1e-5)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"not an archive"])
def test_a_damaged_checkpoint_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "c.npz").write_bytes(content)
    with pytest.raises(DamagedCacheError, match=r"c\.npz cannot be read. Delete it"):
        trained(tmp_path / "c.npz")


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    trained(tmp_path / "c.npz")
    features = keras.Input((4, 4, 3))
    other = keras.Model(features, keras.layers.Dense(7)(keras.layers.Flatten()(features)))
    with pytest.raises(DamagedCacheError):
        train_head(other, examples(1), examples(2), RECIPE, 0, tmp_path / "c.npz", SilentProgress())


def test_features_can_be_float32(tmp_path: Path) -> None:
    def as_float32(examples: Examples) -> Examples:
        table = examples.features
        assert isinstance(table, Table)
        return Examples(Wide(table.values.astype(np.float32)), examples.labels)

    half = trained(tmp_path / "half.npz")
    sides = (as_float32(examples(1)), as_float32(examples(2)))
    wide = train_head(head(), *sides, RECIPE, 0, tmp_path / "wide.npz", SilentProgress())
    assert without_time(half) == without_time(wide)


def test_the_metrics_in_a_checkpoint_can_be_read_without_a_network(tmp_path: Path) -> None:
    assert finished_epochs(tmp_path / "c.npz") == ()
    with pytest.raises(KilledError):
        trained(tmp_path / "c.npz", stop_after=2)
    assert [figures.epoch for figures in finished_epochs(tmp_path / "c.npz")] == [1, 2]
