from pathlib import Path

import pytest

from lentigo_trainer.config.recipe_file import default_recipe
from lentigo_trainer.config.sweep_file import read_sweep
from lentigo_trainer.errors import RecipeError

HEAD = 'name = "small"\n'


def written(folder: Path, text: str) -> Path:
    file = folder / "sweep.toml"
    file.write_text(text)
    return file


def test_the_base_comes_first_and_changes_nothing_but_the_name(tmp_path: Path) -> None:
    text = HEAD + "[variants.mixup]\nfine_tuning.mixup = 0.2\n"
    base, mixup = read_sweep(written(tmp_path, text)).variants
    plain = default_recipe()
    assert base.recipe == plain.model_copy(update={"name": "small_base"})
    assert base.changes == {}
    assert mixup.recipe.name == "small_mixup"
    assert mixup.changes == {"fine_tuning.mixup": "0.2"}
    assert plain.fine_tuning is not None
    changed = plain.fine_tuning.model_copy(update={"mixup": 0.2})
    assert mixup.recipe.fine_tuning == changed


def test_a_table_is_changed_key_by_key_and_a_list_as_a_whole(tmp_path: Path) -> None:
    text = HEAD + (
        "[variants.large]\nfine_tuning.stages = []\n"
        "[variants.large.fine_tuning.augmentation]\nhue = 9.0\n"
    )
    large = read_sweep(written(tmp_path, text)).variants[1]
    settings = large.recipe.fine_tuning
    assert settings is not None
    assert settings.stages == ()
    assert (settings.augmentation.hue, settings.augmentation.gamma) == (9.0, 0.2)
    assert large.changes == {"fine_tuning.stages": "[]", "fine_tuning.augmentation.hue": "9.0"}


def test_other_epochs_are_scaled_in_every_variant(tmp_path: Path) -> None:
    text = HEAD + "[variants.long]\nepochs = 21\n"
    assert [each.recipe.epochs for each in read_sweep(written(tmp_path, text)).variants] == [14, 21]
    scaled = read_sweep(written(tmp_path, text), epochs=2).variants
    assert [each.recipe.epochs for each in scaled] == [2, 2]


def test_the_base_can_be_a_file_beside_the_sweep(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text("folds = 2\nepochs = 3\n[fine_tuning]\n")
    text = HEAD + 'base = "own.toml"\n[variants.a]\nbatch_size = 16\n'
    base, other = read_sweep(written(tmp_path, text)).variants
    assert (base.recipe.epochs, base.recipe.batch_size, other.recipe.batch_size) == (3, 32, 16)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name = ", "is not TOML"),
        (HEAD, "variants: field required"),
        ('name = "../up"\n[variants.a]\nepochs = 3', "name: string should match"),
        (HEAD + "[variants.a]\nfine_tuning.mixup = 9.0", "variant a of .*fine_tuning.mixup: input"),
        (HEAD + "[variants.a]\nfine_tuning.nothing = 1", "fine_tuning.nothing: extra inputs"),
        (HEAD + "[variants.base]\nepochs = 8", "has a variant base"),
        (HEAD + "[variants.a]\nfolds = 3", "variant a of .* changes folds"),
        (HEAD + 'base = "paper"\n[variants.a]\nepochs = 3', "without folds"),
        (HEAD + 'base = "none"\n[variants.a]\nepochs = 3', "none cannot be read"),
        (HEAD + "reduction = 1\n[variants.a]\nepochs = 8", "reduction: input should be greater"),
    ],
)
def test_a_sweep_that_cannot_run_is_refused_in_one_line(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(RecipeError, match=said) as caught:
        read_sweep(written(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"none\.toml cannot be read: No such file"):
        read_sweep(tmp_path / "none.toml")
