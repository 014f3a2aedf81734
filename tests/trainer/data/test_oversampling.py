import numpy as np
import pytest
from numpy.typing import NDArray

from lentigo_contract.labels import index_of
from lentigo_trainer.data.oversampling import Plan, augmented, originals
from lentigo_trainer.data.splits import split
from tests.trainer.published import PLAN, published_records


@pytest.fixture(scope="module")
def labels() -> NDArray[np.int64]:
    return np.array([index_of(code) for code in published_records()["dx"]], np.int64)


@pytest.fixture(scope="module")
def train() -> NDArray[np.intp]:
    return split(published_records()).train


@pytest.fixture(scope="module")
def plan(train: NDArray[np.intp], labels: NDArray[np.int64]) -> Plan:
    return augmented(train, labels, seed=0)


def test_the_plan_has_the_published_rows(plan: Plan) -> None:
    assert len(plan) == 38_568
    assert plan.per_class() == PLAN


def test_originals_come_first_and_replicas_after(plan: Plan, train: NDArray[np.intp]) -> None:
    assert np.array_equal(plan.source[: len(train)], train)
    assert not plan.replica[: len(train)].any()
    assert plan.replica[len(train) :].all()


def test_only_training_images_are_in_the_plan(plan: Plan, train: NDArray[np.intp]) -> None:
    assert set(plan.source) == set(train)


def test_a_row_has_the_label_of_its_image(plan: Plan, labels: NDArray[np.int64]) -> None:
    assert np.array_equal(plan.label, labels[plan.source])


def test_no_image_has_the_same_replica_twice(plan: Plan) -> None:
    rows = np.stack([plan.source, plan.replica], axis=1)
    assert len(np.unique(rows, axis=0)) == len(plan)


def test_every_replica_has_its_own_seed(plan: Plan) -> None:
    seeds = plan.seed[plan.replica > 0]
    assert len(np.unique(seeds)) == len(seeds)


def test_the_seed_decides_the_plan(train: NDArray[np.intp], labels: NDArray[np.int64]) -> None:
    first, again, other = (augmented(train, labels, seed).digest() for seed in (0, 0, 1))
    assert first == again != other


def test_classes_above_the_target_get_no_replicas() -> None:
    few = np.array([0] * 30 + [1] * 20 + [5] * 40, np.int64)
    plan = augmented(np.arange(90), few, seed=0, target=20)
    assert plan.per_class() == {**dict.fromkeys(PLAN, 0), "akiec": 30, "bcc": 20, "nv": 40}


def test_originals_keep_their_order() -> None:
    plan = originals(np.array([4, 2]), np.array([0, 0, 3, 0, 6], np.int64))
    assert plan.source.tolist() == [4, 2]
    assert plan.label.tolist() == [6, 3]
    assert not plan.replica.any()
