from pathlib import Path

import numpy as np
import pytest

from lentigo_contract.labels import index_of
from lentigo_trainer.config.fine_tuning import FineTuning
from lentigo_trainer.config.recipe import Recipe
from lentigo_trainer.config.training import TrainingConfig, WorkFolder
from lentigo_trainer.data.dataset import Prepared
from lentigo_trainer.data.splits import TrainingRows, choose_rows
from tests.trainer.published import PLAN, published_records


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    records = published_records()
    labels = np.array([index_of(code) for code in records["dx"]], np.int64)
    return Prepared(np.zeros((0, 224, 224, 3), np.uint8), records, labels, (), "")


def chosen(prepared: Prepared, recipe: Recipe, limit: int | None = None) -> TrainingRows:
    config = TrainingConfig(WorkFolder(Path("work")), recipe, "random", 0, limit, 1)
    return choose_rows(config, prepared)


def test_the_papers_recipe_trains_on_9077_images_and_validates_on_938(prepared: Prepared) -> None:
    rows = chosen(prepared, Recipe())
    assert rows.plan.per_class() == PLAN
    assert len(rows.used.train) == 9_077
    assert not len(rows.tuning)
    assert not len(rows.hold_out)
    assert np.array_equal(rows.watched, rows.whole.validation)


def test_a_recipe_with_a_hold_out_does_not_train_on_it(
    prepared: Prepared,
) -> None:
    rows = chosen(prepared, Recipe(hold_out=True))
    lesions = prepared.records["lesion_id"].to_numpy()
    trained = set(lesions[rows.plan.source])
    for held in (rows.tuning, rows.hold_out, rows.whole.validation):
        assert len(held)
        assert not trained & set(lesions[held])
    assert len(rows.whole.validation) == 938


def test_with_a_hold_out_epochs_are_evaluated_on_the_tuning_images(
    prepared: Prepared,
) -> None:
    rows = chosen(prepared, Recipe(hold_out=True))
    assert np.array_equal(rows.watched, rows.tuning)


def test_fine_tuning_trains_on_originals_only(prepared: Prepared) -> None:
    rows = chosen(prepared, Recipe(hold_out=True, fine_tuning=FineTuning()))
    assert np.array_equal(rows.plan.source, rows.used.train)
    assert not rows.plan.replica.any()


def test_a_limit_leaves_two_folds(prepared: Prepared) -> None:
    recipe = Recipe(folds=5, fine_tuning=FineTuning())
    assert chosen(prepared, recipe).folds.count == 5
    assert chosen(prepared, recipe, limit=50).folds.count == 2


def test_a_limit_keeps_held_out_images_out_of_training(prepared: Prepared) -> None:
    rows = chosen(prepared, Recipe(hold_out=True), limit=500)
    assert not set(rows.used.train) & (set(rows.tuning) | set(rows.hold_out))
