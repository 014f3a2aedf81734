from pathlib import Path

import pytest

from lentigo_trainer.benchmark.job import recipe_of
from lentigo_trainer.errors import RecipeError
from lentigo_trainer.models.registry import ARCHITECTURES


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_shipped_recipe_is_for_its_architecture_and_has_the_epochs_of_the_registry(
    name: str,
) -> None:
    recipe = recipe_of(name)
    assert recipe.architecture == name
    assert recipe.epochs == ARCHITECTURES[name].epochs


def test_a_recipe_in_the_folder_replaces_the_shipped_one(tmp_path: Path) -> None:
    (tmp_path / "cnn.toml").write_text('architecture = "cnn"\nepochs = 3\n')
    assert recipe_of("cnn", tmp_path).epochs == 3


def test_without_a_recipe_in_the_folder_the_shipped_one_is_used(tmp_path: Path) -> None:
    assert recipe_of("cnn", tmp_path) == recipe_of("cnn")


def test_a_recipe_for_another_architecture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cnn.toml").write_text("epochs = 3\n")
    with pytest.raises(RecipeError, match=r"is one for mobilenet\. Name it after"):
        recipe_of("cnn", tmp_path)
