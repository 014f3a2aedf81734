from pathlib import Path

import keras
import numpy as np
import pytest

from lentigo_trainer.compression.magnitude import MagnitudePruning, prunable_kernels, zeros
from lentigo_trainer.config.fine_tuning import FineTuning, Stage
from lentigo_trainer.config.recipe import Recipe
from lentigo_trainer.errors import TrainingError
from lentigo_trainer.models.classifier import Network
from lentigo_trainer.system.progress import SilentProgress
from lentigo_trainer.training.fine_tuning.fine_tune import fine_tune
from lentigo_trainer.training.work_folder import EpochMetrics
from tests.trainer.compression.made_up import coloured_examples
from tests.trainer.networks import small_inverted_residuals

# All epochs on small images, which fine-tuning compiles for once.
SETTINGS = FineTuning(images_per_epoch=28, ema_decay=0.5, stages=(Stage(side=32, epochs=2),))
RECIPE = Recipe(epochs=2, batch_size=4, fine_tuning=SETTINGS)


class KilledError(Exception):
    """Stands for a kill between two epochs."""


def tuned(file: Path, network: Network, pruning: MagnitudePruning, stop_after: int = 99) -> None:
    def stop(metrics: EpochMetrics) -> None:
        if metrics.epoch == stop_after:
            raise KilledError

    sides = coloured_examples(1), coloured_examples(2, 14)
    silent = SilentProgress()
    fine_tune(network.whole, *sides, RECIPE, 0, file, silent, stop, constraint=pruning)


def test_pointwise_and_dense_kernels_are_pruned_and_no_others() -> None:
    network = small_inverted_residuals(1)
    names = {kernel.path.split("/")[0] for kernel in prunable_kernels(network.whole)}
    blocks = {f"block_{n}_{part}" for n in (0, 1) for part in ("expand", "project")}
    assert names == {*blocks, "top", "logits"}


def test_the_smallest_weights_of_each_kernel_become_zero_at_once_without_a_ramp() -> None:
    network = small_inverted_residuals(1)
    kernel = network.whole.get_layer("block_0_expand").kernel
    before = kernel.numpy().copy()
    pruning = MagnitudePruning(network.whole, 0.5, ramp=0)
    after = np.asarray(kernel)
    assert (after == 0).sum() == before.size // 2
    assert np.abs(before[after == 0]).max() <= np.abs(after[after != 0]).min()
    assert (after[after != 0] == before[after != 0]).all()
    assert zeros(pruning.kernels) == pytest.approx(0.5, abs=0.01)


def test_pruned_weights_stay_zero_while_the_others_learn(tmp_path: Path) -> None:
    network = small_inverted_residuals(1)
    pruning = MagnitudePruning(network.whole, 0.5, ramp=0)
    before = [kernel.numpy().copy() for kernel in pruning.kernels]
    tuned(tmp_path / "c.npz", network, pruning)
    after = [np.asarray(kernel) for kernel in pruning.kernels]
    # The moving average too: it started from pruned weights.
    assert all((b[a == 0] == 0).all() for a, b in zip(before, after, strict=True))
    assert any((b != a).any() for a, b in zip(before, after, strict=True))


def test_with_a_ramp_the_share_rises_to_its_end(tmp_path: Path) -> None:
    network = small_inverted_residuals(1)
    # 14 steps in all; a cut comes every 25 and at the end of the ramp.
    pruning = MagnitudePruning(network.whole, 0.8, ramp=10)
    assert zeros(pruning.kernels) == 0
    tuned(tmp_path / "c.npz", network, pruning)
    pruning.hold()
    assert zeros(pruning.kernels) == pytest.approx(0.8, abs=0.01)


def test_the_share_follows_a_cubic_curve() -> None:
    network = small_inverted_residuals(1)
    pruning = MagnitudePruning(network.whole, 0.8, ramp=100)
    shares = {}
    for step in range(1, 101):
        pruning.apply()
        shares[step] = zeros(pruning.kernels)
    assert shares[24] == 0
    for step in (25, 50, 75, 100):
        assert shares[step] == pytest.approx(0.8 * (1 - (1 - step / 100) ** 3), abs=0.01)


def test_a_killed_run_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole, killed, resumed = (small_inverted_residuals(1) for _ in range(3))
    tuned(tmp_path / "whole.npz", whole, MagnitudePruning(whole.whole, 0.8, 10))
    with pytest.raises(KilledError):
        tuned(tmp_path / "k.npz", killed, MagnitudePruning(killed.whole, 0.8, 10), stop_after=1)
    tuned(tmp_path / "k.npz", resumed, MagnitudePruning(resumed.whole, 0.8, 10))
    assert all(map(np.array_equal, whole.whole.get_weights(), resumed.whole.get_weights()))


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_an_impossible_share_is_refused(share: float) -> None:
    with pytest.raises(TrainingError, match="cannot be pruned"):
        MagnitudePruning(small_inverted_residuals(1).whole, share, 0)


def test_a_network_without_such_kernels_is_refused() -> None:
    image = keras.Input((8, 8, 3))
    network = keras.Model(image, keras.layers.Conv2D(2, 3)(image))
    with pytest.raises(TrainingError, match="neither pointwise convolutions nor dense layers"):
        MagnitudePruning(network, 0.5, 0)
