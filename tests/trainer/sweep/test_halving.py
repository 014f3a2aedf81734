from pathlib import Path

import pytest

from lentigo_trainer.config.sweep_file import read_sweep
from lentigo_trainer.errors import RecipeError
from lentigo_trainer.sweep.halving import epochs_at, going_on, most_epochs, require_budget, rungs


@pytest.mark.parametrize(
    ("epochs", "first", "reduction", "expected"),
    [(27, 1, 3, (1, 3, 9, 27)), (7, 2, 3, (2, 6, 7)), (1, 1, 3, (1,)), (5, 9, 2, (5,))],
)
def test_each_comparison_is_so_many_times_later_and_the_last_at_the_end(
    epochs: int, first: int, reduction: int, expected: tuple[int, ...]
) -> None:
    assert rungs(epochs, first, reduction) == expected


def test_a_longer_variant_trains_in_proportion() -> None:
    assert [epochs_at(rung, 9, 18) for rung in (1, 3, 9)] == [2, 6, 18]
    assert [epochs_at(rung, 9, 4) for rung in (1, 3, 9)] == [1, 2, 4]


def test_the_best_third_goes_on_and_the_base_besides() -> None:
    scores = {"base": 0.1, "a": 0.5, "b": 0.9, "c": 0.8, "d": 0.2, "e": 0.3}
    assert going_on(scores, 3) == ("base", "b", "c")


def test_a_base_among_the_best_takes_a_place() -> None:
    assert going_on({"base": 0.9, "a": 0.5, "b": 0.1, "c": 0.2}, 2) == ("base", "a")


def test_without_the_base_the_best_go_on_all_the_same() -> None:
    assert going_on({"a": 0.5, "b": 0.1}, 2) == ("a",)
    assert going_on({}, 2) == ()


def test_a_budget_too_small_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    file = tmp_path / "sweep.toml"
    # Rungs after 1, 2, 4 and 7: four variants, then two and the base twice, then one and the base.
    text = 'name = "s"\nreduction = 2\nbudget_epochs = {}\n' + "".join(
        f"[variants.v{n}]\nfine_tuning.mixup = 0.{n}\n" for n in (1, 2, 3)
    )
    file.write_text(text.format(48))
    sweep = read_sweep(file, epochs=7)
    assert most_epochs(sweep, folds=2) == 2 * (4 * 1 + 3 * 1 + 3 * 2 + 3 * 3)
    file.write_text(text.format(43))
    small = read_sweep(file, epochs=7)
    with pytest.raises(RecipeError, match=r"trains up to 44 epochs .* budget_epochs are 43"):
        require_budget(small, folds=2)
    require_budget(sweep, folds=2)
