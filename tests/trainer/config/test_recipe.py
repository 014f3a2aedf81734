from pathlib import Path

import pytest

from lentigo_trainer.benchmark.job import recipe_of
from lentigo_trainer.cli.common.options import recipe_from
from lentigo_trainer.config.fine_tuning import AugmentationConfig, FineTuning
from lentigo_trainer.config.recipe import Recipe
from lentigo_trainer.config.recipe_file import default_recipe, read_recipe
from lentigo_trainer.errors import RecipeError
from lentigo_trainer.models.registry import ARCHITECTURES

PAPER = Path(__file__).parents[3] / "recipes" / "paper.toml"
EXPERIMENTS = Path(__file__).parents[3] / "docs" / "experiments"


def written(folder: Path, text: str) -> Path:
    path = folder / "recipe.toml"
    path.write_text(text)
    return path


def test_an_empty_recipe_is_the_papers() -> None:
    assert read_recipe(PAPER) == Recipe()


def test_a_run_without_a_recipe_uses_the_default_recipe() -> None:
    assert read_recipe(PAPER.parent / "lentigo.toml") == recipe_from(None, None)
    assert recipe_from(None, 3) == default_recipe().for_epochs(3)


def test_the_benchmarks_recipe_for_mobilenet_is_the_papers() -> None:
    assert recipe_of("mobilenet") == Recipe()


@pytest.mark.parametrize("name", sorted({*ARCHITECTURES} - {"mobilenet"}))
def test_the_benchmark_uses_the_recipe_of_each_file(name: str) -> None:
    assert read_recipe(PAPER.parent / f"{name}.toml") == recipe_of(name)


def test_an_unknown_key_is_named_with_its_line_and_the_known_ones(tmp_path: Path) -> None:
    path = written(tmp_path, 'architecture = "mobilenet"\nepoch = 3\n')
    with pytest.raises(RecipeError, match=r"line 2, epoch: no such key; there are .*epochs"):
        read_recipe(path)


def test_an_unknown_key_of_a_table_is_named_with_the_keys_of_that_table(tmp_path: Path) -> None:
    path = written(tmp_path, "epochs = 3\n\n[optimizer]\nmomentum = 0.9\nrate = 1.0\n")
    with pytest.raises(RecipeError, match=r"line 5, optimizer\.rate: .*learning_rate"):
        read_recipe(path)


@pytest.mark.parametrize(
    "line",
    ["epochs = 0", "epochs = 2.5", 'epochs = "20"', "batch_size = 1", "class_target = -1"],
)
def test_an_impossible_value_is_named_with_its_line(tmp_path: Path, line: str) -> None:
    key = line.split(" ", 1)[0]
    with pytest.raises(RecipeError, match=f"line 1, {key}: "):
        read_recipe(written(tmp_path, line))


def test_a_file_that_is_not_toml_is_refused_with_the_line(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"not TOML.*line 1"):
        read_recipe(written(tmp_path, "epochs = = 3\n"))


def test_a_missing_recipe_is_a_one_line_error(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"cannot be read: No such file"):
        read_recipe(tmp_path / "none.toml")


def test_recipes_with_other_values_have_other_digests() -> None:
    assert Recipe().digest() == Recipe(epochs=20).digest() != Recipe(epochs=19).digest()


def test_a_cooldown_longer_than_the_run_is_refused_with_its_line(tmp_path: Path) -> None:
    path = written(tmp_path, "epochs = 3\n[optimizer]\ncooldown_epochs = 4\n")
    with pytest.raises(RecipeError, match=r"line 2, optimizer: .*cooldown_epochs, 4,.*epochs, 3"):
        read_recipe(path)


def test_the_default_cooldown_must_fit_too(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"optimizer: .*cooldown_epochs, 2,.*epochs, 1"):
        read_recipe(written(tmp_path, "epochs = 1\n"))


def test_a_cooldown_that_fine_tuning_does_not_use_need_not_fit(tmp_path: Path) -> None:
    assert read_recipe(written(tmp_path, "epochs = 1\n[fine_tuning]\n")).epochs == 1


def test_a_quick_run_of_a_recipe_shortens_its_cooldown() -> None:
    quick = Recipe().for_epochs(1)
    assert (quick.epochs, quick.optimizer.cooldown_epochs) == (1, 1)
    assert Recipe().for_epochs(20) == Recipe()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("optimizer.learning_rate = 0.1\noptimizer.momentum = 2.0\n", 2),
        ("epochs = 5\noptimizer = { momentum = 2.0 }\n", 2),
        ("\n[optimizer]\n  momentum = 2.0\n", 3),
        ("[optimizer]\n'momentum' = 2.0\n", 2),
    ],
)
def test_the_line_of_a_fault_is_found_in_every_notation_of_a_table(
    tmp_path: Path, text: str, line: int
) -> None:
    with pytest.raises(RecipeError, match=rf"line {line}, optimizer\.momentum: "):
        read_recipe(written(tmp_path, text))


def test_unused_keys_are_left_out_when_a_recipe_is_written() -> None:
    assert set(read_recipe(PAPER).model_dump(mode="json")) == {
        "architecture",
        "epochs",
        "batch_size",
        "class_target",
        "optimizer",
    }


def test_the_papers_recipe_with_a_hold_out_differs_only_in_that_and_its_name() -> None:
    apart = read_recipe(PAPER.parent / "paper_hold_out.toml")
    assert apart == Recipe(name="paper_hold_out", hold_out=True)


def test_the_default_recipe_can_be_read_back_from_json() -> None:
    recipe = read_recipe(PAPER.parent / "lentigo.toml")
    assert recipe.folds == 5
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe


@pytest.mark.parametrize("name", ["prepared", "cnn", "../up", ""])
def test_a_name_that_is_another_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(RecipeError, match="line 1, name: "):
        read_recipe(written(tmp_path, f'name = "{name}"\n'))


def test_keys_that_fine_tuning_does_not_use_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "class_target = 6000\n\n[fine_tuning]\n")
    with pytest.raises(RecipeError, match="has no class_target; take it out"):
        read_recipe(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("folds = 5\n", "folds need a table fine_tuning"),
        ("folds = 1\n[fine_tuning]\n", "0, or at least 2"),
        ("folds = 21\n[fine_tuning]\n", "line 1, folds"),
        ("folds = 5\nhold_out = true\n[fine_tuning]\n", "needs no hold_out"),
    ],
)
def test_folds_that_contradict_the_rest_are_refused(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        read_recipe(written(tmp_path, text))


def test_stages_are_refused_for_a_network_without_pooling(tmp_path: Path) -> None:
    stages = "[fine_tuning]\nstages = [{ side = 128, epochs = 1 }]\n"
    with pytest.raises(RecipeError, match="average pooling, which cnn has not"):
        read_recipe(written(tmp_path, 'architecture = "cnn"\nepochs = 10\n' + stages))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[fine_tuning]\nrate = 1.0\n", r"line 2, fine_tuning\.rate: .*backbone_learning_rate"),
        ("[fine_tuning.augmentation]\ncolour = 1.0\n", r"line 2, .*colour: .*saturation"),
        ("[fine_tuning]\nstages = [{ side = 128, epoch = 1 }]\n", r"line 2, .*there are side"),
        ("[fine_tuning]\nstages = [{ side = 300, epochs = 1 }]\n", "line 2, .*224"),
    ],
)
def test_a_fault_in_a_table_of_fine_tuning_is_found(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        read_recipe(written(tmp_path, text))


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "+inf"])
@pytest.mark.parametrize(
    ("table", "key"),
    [
        ("fine_tuning", "warm_up_epochs"),
        ("fine_tuning", "weight_decay"),
        ("fine_tuning", "ema_decay"),
        ("fine_tuning.augmentation", "zoom_out"),
        ("optimizer", "learning_rate"),
    ],
)
def test_a_number_that_is_not_finite_is_refused_with_its_line(
    tmp_path: Path, table: str, key: str, value: str
) -> None:
    path = written(tmp_path, f"[{table}]\n{key} = {value}\n")
    with pytest.raises(RecipeError, match=rf"line 2, {table}\.{key}: "):
        read_recipe(path)


@pytest.mark.parametrize(
    "line",
    [
        "frequency_power = 0.2",
        "average_cycles = true",
        "average_rounds = true",
        "restarts = [{ after_epoch = 2 }]",
    ],
)
def test_a_key_that_was_removed_is_named_as_such(tmp_path: Path, line: str) -> None:
    key = line.split(" ", 1)[0]
    with pytest.raises(RecipeError, match=rf"line 2, fine_tuning\.{key}: it was removed"):
        read_recipe(written(tmp_path, f"[fine_tuning]\n{line}\n"))


FORMER = """
epochs = 9

[whole_network]
rows = 700
base_rate = 1e-4
head_rate = 1e-3
average = 0.9

[whole_network.variation]
soften = 0.1
"""

CURRENT = """
epochs = 9

[fine_tuning]
images_per_epoch = 700
backbone_learning_rate = 1e-4
head_learning_rate = 1e-3
ema_decay = 0.9

[fine_tuning.augmentation]
blur = 0.1
"""


def test_the_former_names_of_keys_mean_the_same_as_the_current_ones(tmp_path: Path) -> None:
    former = read_recipe(written(tmp_path, FORMER))
    assert former == read_recipe(written(tmp_path, CURRENT))
    assert former.fine_tuning == FineTuning(
        images_per_epoch=700,
        backbone_learning_rate=1e-4,
        head_learning_rate=1e-3,
        ema_decay=0.9,
        augmentation=AugmentationConfig(blur=0.1),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[fine_tuning]\n[whole_network]\n", ": whole_network is the former name of fine_tuning"),
        (
            "[fine_tuning]\nrows = 2\nimages_per_epoch = 2\n",
            "line 1, fine_tuning: rows is the former name of images_per_epoch; remove rows",
        ),
        (
            "[fine_tuning.augmentation]\nblur = 0.1\nsoften = 0.1\n",
            r"line 1, fine_tuning\.augmentation: soften is the former name of blur",
        ),
    ],
)
def test_both_names_of_a_key_at_once_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        read_recipe(written(tmp_path, text))


def test_a_fault_under_a_former_name_is_found_by_that_name(tmp_path: Path) -> None:
    path = written(tmp_path, "epochs = 9\n[whole_network]\nrate = 1.0\n")
    with pytest.raises(RecipeError, match=r"line 3, whole_network\.rate: .*backbone_learning_rate"):
        read_recipe(path)


def test_a_key_after_an_array_over_several_lines_has_the_right_line(tmp_path: Path) -> None:
    stages = "[fine_tuning]\n# Grows.\nstages = [\n  { side = 128, epochs = 1 },\n  # full\n]\n"
    with pytest.raises(RecipeError, match=r"line 7, fine_tuning\.dropout: "):
        read_recipe(written(tmp_path, stages + "dropout = 2.0\n"))
    with pytest.raises(RecipeError, match=r"line 3, fine_tuning\.stages\.0\.side: "):
        read_recipe(written(tmp_path, stages.replace("128", "8")))


@pytest.mark.parametrize("path", sorted(EXPERIMENTS.glob("*.toml")), ids=lambda path: path.stem)
def test_recipes_of_experiments_can_still_be_run(path: Path) -> None:
    assert read_recipe(path).name == path.stem.replace("-", "_")
