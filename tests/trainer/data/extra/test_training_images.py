from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from lentigo_trainer.data.extra.imported_set import open_set
from lentigo_trainer.data.extra.training_images import open_extra_images
from lentigo_trainer.errors import ImportedSetError, RecipeError
from tests.trainer.data.extra.made_up_set import config_with, made_up_set, without_images


def test_only_the_training_part_trains(tmp_path: Path) -> None:
    folder = made_up_set(tmp_path, {"nv": 12, "mel": 6}, kept_out_share=0.5)
    found = open_extra_images(config_with(folder), without_images())
    assert found is not None
    kept_out = set(open_set(folder, "kept-out").records["image_id"])
    assert kept_out
    assert not kept_out & set(found.records["image_id"])
    assert len(found.labels) == 18 - len(kept_out)
    assert found.take(found.labels[:0]).shape == (0, 224, 224, 3)


def test_without_sets_there_is_nothing() -> None:
    assert open_extra_images(config_with(), without_images()) is None


@pytest.mark.parametrize("column", ["image_id", "sha256"])
def test_an_image_of_ham10000_is_refused_by_name_and_by_bytes(tmp_path: Path, column: str) -> None:
    folder = made_up_set(tmp_path, {"nv": 2})
    known = pd.DataFrame({"image_id": ["other"], "sha256": ["0" * 64]})
    known[column] = open_set(folder).records[column][0]
    with pytest.raises(ImportedSetError, match=r"1 training image .* HAM10000.*--source"):
        open_extra_images(config_with(folder), replace(without_images(), records=known))


def test_a_training_image_that_another_set_keeps_out_is_refused(tmp_path: Path) -> None:
    first = made_up_set(tmp_path / "a", {"nv": 4}, kept_out_share=0.5)
    second = made_up_set(tmp_path / "b", {"nv": 4})
    with pytest.raises(ImportedSetError, match=r"--exclude"):
        open_extra_images(config_with(second, first), without_images())


def test_a_set_without_a_training_image_is_refused(tmp_path: Path) -> None:
    folder = made_up_set(tmp_path, {"nv": 1}, kept_out_share=0.9)
    assert len(open_set(folder, "kept-out").rows) == 1
    with pytest.raises(ImportedSetError, match="no image to train with"):
        open_extra_images(config_with(folder), without_images())


def test_a_recipe_without_fine_tuning_cannot_train_with_a_set(tmp_path: Path) -> None:
    config = config_with(tmp_path, fine_tuning=False)
    with pytest.raises(RecipeError, match="--extra"):
        open_extra_images(config, without_images())
