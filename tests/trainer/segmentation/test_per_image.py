import json
from pathlib import Path

import numpy as np
import pytest
from pydantic import JsonValue

from lentigo_trainer.errors import DamagedCacheError, WorkFolderError
from lentigo_trainer.segmentation.per_image import PART, Result, compute_per_image
from lentigo_trainer.system.progress import SilentProgress

NAMES = [f"image {number}" for number in range(PART + 5)]
IDENTITY: dict[str, JsonValue] = {"title": "Measuring", "version": 1}


def length_of(name: str) -> Result:
    return {"length": np.array(len(name)), "letters": np.zeros(3)}


def compute(folder: Path, names: list[str] = NAMES, workers: int = 1, version: int = 1) -> Result:
    return compute_per_image(
        length_of,
        lambda name: name,
        names,
        folder,
        {**IDENTITY, "version": version},
        workers,
        SilentProgress(),
    )


def test_results_are_stacked_in_the_order_of_the_names(tmp_path: Path) -> None:
    found = compute(tmp_path)
    assert found["length"].tolist() == [len(name) for name in NAMES]
    assert found["letters"].shape == (len(NAMES), 3)


def test_several_processes_give_the_same(tmp_path: Path) -> None:
    one, two = compute(tmp_path / "one"), compute(tmp_path / "two", workers=2)
    np.testing.assert_array_equal(one["length"], two["length"])


def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path) -> None:
    asked: list[str] = []

    def stops(name: str) -> str:
        if len(asked) == PART + 2:
            raise KeyboardInterrupt
        asked.append(name)
        return name

    def run() -> None:
        compute_per_image(length_of, stops, NAMES, tmp_path, IDENTITY, 1, SilentProgress())

    with pytest.raises(KeyboardInterrupt):
        run()
    asked.clear()
    run()
    assert asked == NAMES[PART:]


def test_results_of_other_images_or_work_are_not_mixed_up(tmp_path: Path) -> None:
    compute(tmp_path)
    with pytest.raises(WorkFolderError, match="other images or of another release"):
        compute(tmp_path, NAMES[1:])
    with pytest.raises(WorkFolderError, match="other images or of another release"):
        compute(tmp_path, version=2)


def test_a_damaged_part_is_named(tmp_path: Path) -> None:
    compute(tmp_path)
    (tmp_path / "0000.npz").write_bytes(b"damaged")
    with pytest.raises(DamagedCacheError, match=r"0000\.npz cannot be read"):
        compute(tmp_path)


def test_a_part_of_other_images_is_named(tmp_path: Path) -> None:
    compute(tmp_path)
    (tmp_path / "0001.npz").write_bytes((tmp_path / "0000.npz").read_bytes())
    with pytest.raises(DamagedCacheError, match="does not fit"):
        compute(tmp_path)


def test_the_identity_is_readable(tmp_path: Path) -> None:
    compute(tmp_path)
    assert json.loads((tmp_path / "identity.json").read_text())["images"] == len(NAMES)
