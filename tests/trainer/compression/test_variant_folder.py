from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from lentigo_trainer.compression.variant_folder import VariantFolder
from lentigo_trainer.errors import DamagedCacheError


@pytest.fixture
def folder(tmp_path: Path) -> VariantFolder:
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]).save(tmp_path / "network.keras")
    np.save(tmp_path / "answers.npy", np.zeros((5, 7), np.float32))
    (tmp_path / "model.tflite").write_bytes(b"model")
    (tmp_path / "result.json").write_text("{}")
    return VariantFolder(tmp_path)


def empty(whole: bytes) -> bytes:
    del whole
    return b""


def noise(whole: bytes) -> bytes:
    return bytes(np.random.default_rng(0).integers(0, 256, len(whole), np.uint8))


def cut_off(whole: bytes) -> bytes:
    return whole[: len(whole) // 2]


def changed(whole: bytes) -> bytes:
    middle = len(whole) // 2
    return (
        whole[:middle]
        + bytes(byte ^ 255 for byte in whole[middle : middle + 300])
        + whole[middle + 300 :]
    )


@pytest.mark.parametrize("damage", [empty, noise, cut_off, changed])
def test_a_damaged_network_is_told(folder: VariantFolder, damage: Callable[[bytes], bytes]) -> None:
    file = folder.path / "network.keras"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(DamagedCacheError, match=r"network\.keras cannot be read\. Delete"):
        folder.network()


@pytest.mark.parametrize("damage", [empty, noise, cut_off])
def test_damaged_answers_are_told(folder: VariantFolder, damage: Callable[[bytes], bytes]) -> None:
    file = folder.path / "answers.npy"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(DamagedCacheError, match=r"answers\.npy cannot be read\. Delete"):
        folder.logits()


def test_what_is_missing_is_told(folder: VariantFolder) -> None:
    for file in folder.path.iterdir():
        file.unlink()
    for read in (folder.result, folder.network, folder.logits, folder.model):
        with pytest.raises(DamagedCacheError, match=r"cannot be read\. Delete"):
            read()
    assert not folder.is_finished


def test_a_result_that_is_not_as_expected_is_told(folder: VariantFolder) -> None:
    assert folder.is_finished
    with pytest.raises(DamagedCacheError):
        folder.result()
