import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from lentigo_contract.repository.store import ModelStore
from lentigo_inference.errors import NotReadyError
from lentigo_inference.serving.model_slot import LoadedModel, ModelSlot
from tests.models import PlainEngine, loaded, publish_plain


@pytest.fixture
def retired() -> list[LoadedModel]:
    return []


@pytest.fixture
def slot(retired: list[LoadedModel]) -> ModelSlot:
    return ModelSlot(retired.append)


@pytest.fixture
def models(store: ModelStore) -> list[LoadedModel]:
    return [loaded(publish_plain(store, seed), PlainEngine(seed)) for seed in (1, 2, 3)]


def test_an_empty_slot_says_why(slot: ModelSlot) -> None:
    slot.explain_vacancy("The volume is not mounted.")
    with pytest.raises(NotReadyError, match="not mounted"), slot.lease():
        pass


def test_a_lease_keeps_its_model_after_a_swap(
    slot: ModelSlot, models: list[LoadedModel], retired: list[LoadedModel]
) -> None:
    slot.swap(models[0])
    with slot.lease() as first:
        slot.swap(models[1])
        with slot.lease() as second:
            assert (first, second) == (models[0], models[1])
        assert retired == []
    assert retired == [models[0]]


def test_a_model_nobody_uses_is_retired_at_the_swap(
    slot: ModelSlot, models: list[LoadedModel], retired: list[LoadedModel]
) -> None:
    slot.swap(models[0])
    slot.swap(models[1])
    assert retired == [models[0]]


def test_the_last_of_several_leases_retires(
    slot: ModelSlot, models: list[LoadedModel], retired: list[LoadedModel]
) -> None:
    slot.swap(models[0])
    first, second = slot.lease(), slot.lease()
    first.__enter__()
    second.__enter__()
    slot.swap(models[1])
    first.__exit__(None, None, None)
    assert retired == []
    second.__exit__(None, None, None)
    assert retired == [models[0]]


def test_a_request_that_fails_releases_its_lease(
    slot: ModelSlot, models: list[LoadedModel], retired: list[LoadedModel]
) -> None:
    slot.swap(models[0])
    with pytest.raises(ZeroDivisionError), slot.lease():
        raise ZeroDivisionError
    slot.close()
    assert retired == [models[0]]


def test_a_model_swapped_in_after_closing_is_retired(
    slot: ModelSlot, models: list[LoadedModel], retired: list[LoadedModel]
) -> None:
    slot.close()
    slot.swap(models[0])
    assert retired == [models[0]]
    assert slot.current is None


def test_concurrent_swaps_retire_every_model_but_the_last_once(
    slot: ModelSlot, models: list[LoadedModel], retired: list[LoadedModel]
) -> None:
    slot.swap(models[0])
    begin = threading.Barrier(5)

    def use() -> None:
        begin.wait()
        for _ in range(500):
            with slot.lease() as model:
                assert model not in retired

    def swap() -> None:
        begin.wait()
        for model in models[1:]:
            slot.swap(model)

    with ThreadPoolExecutor(5) as threads:
        for task in [*(threads.submit(use) for _ in range(4)), threads.submit(swap)]:
            task.result()
    assert sorted(model.version for model in retired) == [1, 2]
