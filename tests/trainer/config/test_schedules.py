"""Stages and warm-up, as written and scaled to another number of epochs."""

from pathlib import Path

import pytest

from lentigo_trainer.config.fine_tuning import FineTuning, Stage
from lentigo_trainer.config.recipe import Recipe
from lentigo_trainer.config.recipe_file import default_recipe, read_recipe
from lentigo_trainer.errors import RecipeError

STAGED = Recipe(
    epochs=25,
    fine_tuning=FineTuning(
        stages=(
            Stage(side=128, epochs=6),
            Stage(side=160, epochs=5),
            Stage(side=224, epochs=4),
            Stage(side=160, epochs=4),
        )
    ),
)


def test_each_stage_has_its_image_size_and_later_epochs_full_size() -> None:
    settings = STAGED.fine_tuning or FineTuning()
    sides = [settings.side_of(epoch) for epoch in range(1, 26)]
    assert sides == [128] * 6 + [160] * 5 + [224] * 4 + [160] * 4 + [224] * 6


@pytest.mark.parametrize(
    ("epochs", "sides", "warm_up"),
    [
        (1, [224], 0.04),
        (2, [224, 224], 0.08),
        (9, 2 * [128] + [160] + 2 * [224] + [160] + 3 * [224], 0.36),
        (50, 12 * [128] + 10 * [160] + 8 * [224] + 8 * [160] + 12 * [224], 2.0),
    ],
)
def test_other_epochs_scale_the_epochs_at_which_something_changes(
    epochs: int, sides: list[int], warm_up: float
) -> None:
    scaled = STAGED.for_epochs(epochs).fine_tuning
    assert scaled is not None
    assert [scaled.side_of(epoch) for epoch in range(1, epochs + 1)] == sides
    assert scaled.warm_up_epochs == pytest.approx(warm_up)


def test_the_same_epochs_change_nothing() -> None:
    assert STAGED.for_epochs(25) == STAGED


SCHEDULES = {
    "shipped": default_recipe(),
    "staged": STAGED,
    "full of stages": Recipe(
        epochs=7,
        fine_tuning=FineTuning(
            warm_up_epochs=3.0,
            stages=tuple(Stage(side=64, epochs=1) for _ in range(7)),
        ),
    ),
    "warm-up to the end": Recipe(epochs=5, fine_tuning=FineTuning(warm_up_epochs=5.0)),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_recipe_for_any_number_of_epochs_is_one_that_can_be_read(name: str) -> None:
    for epochs in range(1, 61):
        scaled = SCHEDULES[name].for_epochs(epochs)
        assert Recipe.model_validate_json(scaled.model_dump_json()) == scaled


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "stages = [{ side = 64, epochs = 2 }, { side = 96, epochs = 2 }]",
            "its stages have 4 epochs together, but the run has 3",
        ),
        ("warm_up_epochs = 3.5", "its warm_up_epochs, 3.5, go beyond the run's end, epoch 3"),
    ],
)
def test_a_schedule_that_does_not_fit_into_the_epochs_is_refused(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(f"epochs = 3\n\n[fine_tuning]\n{text}\n")
    with pytest.raises(RecipeError, match=f"line 3, fine_tuning: {message}"):
        read_recipe(path)


def test_a_schedule_may_fill_the_epochs(tmp_path: Path) -> None:
    text = "stages = [{ side = 64, epochs = 3 }]\n"
    path = tmp_path / "recipe.toml"
    path.write_text(f"epochs = 3\n\n[fine_tuning]\nwarm_up_epochs = 2.0\n{text}")
    assert read_recipe(path).epochs == 3
