import json
from pathlib import Path

import keras
import numpy as np
import pytest

from lentigo_trainer.compression.fold_network import load_checkpoint_average, require_same_run
from lentigo_trainer.config.fine_tuning import FineTuning
from lentigo_trainer.config.recipe import Recipe
from lentigo_trainer.errors import DamagedCacheError, TrainingError, WorkFolderError
from lentigo_trainer.models.classifier import Network
from lentigo_trainer.system.progress import SilentProgress
from lentigo_trainer.training.fine_tuning.fine_tune import fine_tune
from lentigo_trainer.training.loop import Examples
from tests.trainer.compression.made_up import Images, coloured_examples, noise
from tests.trainer.networks import small_inverted_residuals

RECIPE = Recipe(
    name="own",
    epochs=1,
    batch_size=4,
    fine_tuning=FineTuning(images_per_epoch=28, ema_decay=0.5, bfloat16=False),
)
HELD_OUT = coloured_examples(2, 14)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Network, Path]:
    """A trained network and the checkpoint of its run."""
    network = small_inverted_residuals(1)
    file = tmp_path_factory.mktemp("run") / "fold_2" / "checkpoint.npz"
    silent = SilentProgress()
    fine_tune(network.whole, coloured_examples(1), HELD_OUT, RECIPE, 0, file, silent)
    return network, file


def test_the_moving_average_is_what_is_loaded(trained: tuple[Network, Path]) -> None:
    network, file = trained
    loaded = small_inverted_residuals(7)
    load_checkpoint_average(loaded, file, RECIPE, HELD_OUT, fold=2)
    assert all(map(np.array_equal, loaded.whole.get_weights(), network.whole.get_weights()))


def test_a_network_that_learnt_from_the_images_is_refused(
    trained: tuple[Network, Path], tmp_path: Path
) -> None:
    network, file = trained
    with pytest.raises(TrainingError, match="of fold 2, and the images are those of fold 1"):
        load_checkpoint_average(small_inverted_residuals(7), file, RECIPE, HELD_OUT, fold=1)
    # Under another name the loss tells it: these are not the images that it was evaluated on.
    elsewhere = tmp_path / "checkpoint.npz"
    elsewhere.write_bytes(file.read_bytes())
    images = noise(14)
    unlikely = np.asarray(network.whole(images.astype(np.float32), training=False)).argmin(axis=1)
    others = Examples(Images(images), unlikely)
    with pytest.raises(TrainingError, match="of another fold, another --limit or other images"):
        load_checkpoint_average(small_inverted_residuals(7), elsewhere, RECIPE, others, fold=1)


def test_a_checkpoint_of_another_network_is_refused(trained: tuple[Network, Path]) -> None:
    _, file = trained
    other = small_inverted_residuals(7, channels=16)
    with pytest.raises(TrainingError, match="does not hold the network of the recipe own"):
        load_checkpoint_average(other, file, RECIPE, HELD_OUT, fold=2)


def test_a_run_that_has_not_reached_its_end_is_refused(trained: tuple[Network, Path]) -> None:
    _, file = trained
    longer = RECIPE.model_copy(update={"epochs": 9})
    with pytest.raises(TrainingError, match="has 1 of the 9 epochs of own"):
        load_checkpoint_average(small_inverted_residuals(7), file, longer, HELD_OUT, fold=2)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut off"])
def test_a_broken_checkpoint_is_refused(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "checkpoint.npz"
    file.write_bytes(content)
    with pytest.raises(DamagedCacheError, match="cannot be read"):
        load_checkpoint_average(small_inverted_residuals(7), file, RECIPE, HELD_OUT, fold=2)


def test_a_missing_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"Name the checkpoint\.npz of a fold"):
        load_checkpoint_average(keras.Model(), tmp_path / "none.npz", RECIPE, HELD_OUT, fold=2)


def test_the_record_of_the_run_beside_it_must_be_of_the_same_recipe(tmp_path: Path) -> None:
    file = tmp_path / "checkpoint.npz"
    require_same_run(file, {"recipe": 1})
    (tmp_path / "run.json").write_text(json.dumps({"recipe": 1, "dataset": "d"}))
    require_same_run(file, {"recipe": 1, "dataset": "d"})
    with pytest.raises(WorkFolderError, match="made with another dataset"):
        require_same_run(file, {"recipe": 1, "dataset": "e"})
