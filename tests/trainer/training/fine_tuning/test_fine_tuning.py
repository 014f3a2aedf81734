from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from lentigo_trainer.config.fine_tuning import FineTuning, Stage
from lentigo_trainer.config.recipe import Recipe
from lentigo_trainer.errors import RecipeError
from lentigo_trainer.models.architecture import with_all_layers_trainable
from lentigo_trainer.models.classifier import build, totals
from lentigo_trainer.models.registry import architecture
from lentigo_trainer.system.progress import SilentProgress
from lentigo_trainer.training.fine_tuning.fine_tune import ResizedRows, at_side, fine_tune
from lentigo_trainer.training.loop import Examples, logits_of
from lentigo_trainer.training.work_folder import EpochMetrics
from tests.trainer.data.extra.made_up_set import extra_images
from tests.trainer.networks import lively_mobilenet

SETTINGS = FineTuning(
    images_per_epoch=28,
    backbone_learning_rate=0.01,
    head_learning_rate=0.05,
    ema_decay=0.5,
    stages=(Stage(side=64, epochs=2),),
)
RECIPE = Recipe(epochs=3, batch_size=8, fine_tuning=SETTINGS)


class KilledError(Exception):
    """Stands for a kill between two epochs."""


class Images:
    def __init__(self, values: NDArray[np.uint8]) -> None:
        self.values = values

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        return self.values[rows].astype(np.float32)


@pytest.fixture(autouse=True)
def deterministic() -> None:
    tf.config.experimental.enable_op_determinism()


def examples(seed: int, rows: int = 42) -> Examples:
    """Images whose colour tells the class."""
    draw = np.random.default_rng(seed)
    labels = np.arange(rows) % 7
    colours = np.random.default_rng(99).integers(30, 226, (7, 1, 1, 3))
    values = colours[labels] + draw.integers(-20, 20, (rows, 224, 224, 3))
    return Examples(Images(values.astype(np.uint8)), labels)


def small(seed: int = 0) -> keras.Model:
    start = [keras.initializers.GlorotUniform(seed=seed + n) for n in range(2)]
    images = keras.Input((224, 224, 3))
    values = keras.layers.Rescaling(1 / 127.5, -1.0, name="rescaling")(images)
    values = keras.layers.Conv2D(8, 8, 8, use_bias=False, kernel_initializer=start[0])(values)
    values = keras.layers.BatchNormalization()(values)
    values = keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU()(values))
    values = keras.layers.Dropout(0.1, seed=seed, name="dropout")(values)
    logits = keras.layers.Dense(7, kernel_initializer=start[1], name="logits")(values)
    return keras.Model(images, logits)


def trained(
    checkpoint: Path,
    seed: int = 0,
    stop_after: int = 99,
    network: keras.Model | None = None,
    recipe: Recipe = RECIPE,
) -> tuple[EpochMetrics, ...]:
    def stop(figures: EpochMetrics) -> None:
        if figures.epoch == stop_after:
            raise KilledError

    learning = small() if network is None else network
    sides = (examples(1), examples(2, rows=14))
    return fine_tune(learning, *sides, recipe, seed, checkpoint, SilentProgress(), stop)


def without_time(history: tuple[EpochMetrics, ...]) -> list[tuple[float | None, ...]]:
    return [
        (e.loss, e.accuracy, e.validation_loss, e.validation_balanced_accuracy) for e in history
    ]


def state(checkpoint: Path) -> dict[str, NDArray[np.float32]]:
    with np.load(checkpoint) as kept:
        return {name: kept[name] for name in kept.files if name != "history"}


def test_fine_tuning_fits_small_and_large_images(tmp_path: Path) -> None:
    history = trained(tmp_path / "c.npz")
    assert [figures.epoch for figures in history] == [1, 2, 3]
    assert history[-1].loss < history[0].loss
    assert history[-1].validation_balanced_accuracy == history[-1].validation_accuracy


@pytest.mark.parametrize("epoch", [1, 2])
def test_a_killed_run_ends_with_the_same_numbers_to_the_bit(tmp_path: Path, epoch: int) -> None:
    whole, resumed = small(), small()
    before = trained(tmp_path / "whole.npz", network=whole)
    with pytest.raises(KilledError):
        trained(tmp_path / "killed.npz", stop_after=epoch)
    after = trained(tmp_path / "killed.npz", network=resumed)
    assert without_time(before) == without_time(after)
    left, right = state(tmp_path / "whole.npz"), state(tmp_path / "killed.npz")
    assert left.keys() == right.keys()
    assert all(np.array_equal(left[name], right[name]) for name in left)
    assert all(map(np.array_equal, whole.get_weights(), resumed.get_weights()))


def test_the_seed_decides_the_result(tmp_path: Path) -> None:
    first, other = (without_time(trained(tmp_path / f"{n}.npz", n)) for n in (0, 1))
    assert first != other


def test_the_moving_average_is_evaluated_and_kept(tmp_path: Path) -> None:
    network = small()
    history = trained(tmp_path / "c.npz", network=network)
    watched = examples(2, rows=14)
    logits = logits_of(network, watched.features, 14)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(watched.labels, logits)
    # Measured in bfloat16 on some processors, and here in float32.
    assert history[-1].validation_loss == pytest.approx(float(loss), rel=0.05)
    assert not np.array_equal(state(tmp_path / "c.npz")["v0"], network.get_weights()[0])


def test_a_network_learns_what_its_teacher_says(tmp_path: Path) -> None:
    """The teacher takes every image for the class after its own, and has nearly the whole say."""
    taught, watched = examples(1), examples(2, rows=14)
    wrong = np.eye(7, dtype=np.float32)[(taught.labels + 1) % 7] * 50
    recipe = RECIPE.model_copy(
        update={"fine_tuning": SETTINGS.model_copy(update={"teacher_share": 0.99})}
    )
    network, checkpoint = small(), tmp_path / "c.npz"
    training = replace(taught, teacher=wrong)
    fine_tune(network, training, watched, recipe, 0, checkpoint, SilentProgress())
    answers = logits_of(network, watched.features, 14).argmax(axis=1)
    told, own = (watched.labels + 1) % 7, watched.labels
    assert np.mean(answers == told) > 2 * np.mean(answers == own)


def test_small_images_are_evaluated_at_their_size() -> None:
    shown = ResizedRows(examples(1).features, 64).take(np.arange(3))
    assert shown.shape == (3, 64, 64, 3)
    assert ResizedRows(examples(1).features, 224).take(np.arange(3)).shape == (3, 224, 224, 3)


def test_bfloat16_is_off_after_fine_tuning(tmp_path: Path) -> None:
    trained(tmp_path / "c.npz")
    options = tf.config.optimizer.get_experimental_options()
    assert not options.get("auto_mixed_precision_onednn_bfloat16")


def test_a_recipe_without_fine_tuning_is_refused(tmp_path: Path) -> None:
    sides = (examples(1), examples(2, rows=14))
    with pytest.raises(RecipeError, match="no table fine_tuning"):
        fine_tune(small(), *sides, Recipe(), 0, tmp_path / "c.npz", SilentProgress())


def test_at_another_image_size_the_weights_are_shared() -> None:
    network = lively_mobilenet(3).whole
    smaller = at_side(network, 96)
    assert smaller.input_shape == (None, 96, 96, 3)
    assert [id(v) for v in smaller.weights] == [id(v) for v in network.weights]


def test_fine_tuning_freezes_no_layer_of_mobilenet() -> None:
    network = build(with_all_layers_trainable(architecture("mobilenet"), 0.25), "random", seed=0)
    assert network.learns_from_images
    counted = totals(network)
    # What does not learn by gradient are the statistics of 27 normalisations.
    assert (counted.total, counted.frozen) == (3_236_039, 21_888)


def test_a_killed_run_with_an_imported_set_ends_with_the_same_numbers(tmp_path: Path) -> None:
    extra = extra_images(tmp_path / "sets", {"nv": 6, "mel": 3})
    mixing = SETTINGS.model_copy(update={"mixup": 0.5, "extra_share": 0.3})
    recipe = Recipe(epochs=2, batch_size=8, fine_tuning=mixing)

    def run(name: str, stop_after: int = 99) -> tuple[EpochMetrics, ...]:
        def stop(metrics: EpochMetrics) -> None:
            if metrics.epoch == stop_after:
                raise KilledError

        sides = (replace(examples(1), extra=extra), examples(2, rows=14))
        silent = SilentProgress()
        return fine_tune(small(), *sides, recipe, 0, tmp_path / name, silent, stop)

    before = run("whole.npz")
    with pytest.raises(KilledError):
        run("killed.npz", stop_after=1)
    assert without_time(before) == without_time(run("killed.npz"))
    assert all(np.isfinite(metrics.loss) for metrics in before)
