"""Answers on the device: turned on with the service, given with the service gone."""

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Page, expect

from benchmarks.synthetic_lesion import nevus_jpeg
from lentigo_contract.repository.store import ModelStore
from tests.e2e.page.conftest import SHIPPED, Visit
from tests.e2e.page.hands import button, choose, file, predict, see_problem, see_result, violations
from tests.e2e.service_process import ServiceProcess, service_process
from tests.images import encoded

# A seed of `draw_nevus` that the shipped version accepts.
ACCEPTED = 4


@pytest.fixture(scope="module")
def shipped() -> Iterator[ServiceProcess]:
    with service_process(SHIPPED, LENTIGO_ENGINE="litert") as running:
        running.logged("model in use")
        yield running


def open_section(page: Page) -> None:
    page.get_by_text("Answer without a network").click()


def turn_on(page: Page) -> None:
    open_section(page)
    page.get_by_role("button", name="Make available offline").click()
    expect(page.locator("#offline-body")).to_contain_text("is kept on this device")


def leave_network(page: Page) -> None:
    page.context.set_offline(True)


def answer_of(page: Page) -> dict[str, object]:
    """What "Save as JSON" saves of the selected image."""
    import json

    with page.expect_download() as saved:
        button(page, "Save as JSON").click()
    answer: dict[str, object] = json.loads(saved.value.path().read_text())["answer"]
    return answer


def test_with_the_service_gone_the_device_gives_the_services_answer(
    visit: Visit, shipped: ServiceProcess
) -> None:
    page = visit(shipped.url)
    turn_on(page)
    expected = httpx.post(
        f"{shipped.url}/v1/predictions?explain=all", content=nevus_jpeg(ACCEPTED), timeout=60
    ).json()
    leave_network(page)
    choose(page, file("mole.jpg", nevus_jpeg(ACCEPTED)))
    predict(page)
    expect(page.locator(".provenance")).to_contain_text("predicted on this device")
    answer = answer_of(page)
    assert answer["image"] == expected["image"]
    assert answer["model"] == {**expected["model"], "engine": "litert-web"}
    for member in ("quality", "malignancy", "diagnosis"):
        assert answer[member] == pytest.approx(expected[member], abs=1e-3), member
    assert [each["code"] for each in answer["probabilities"]] == [
        each["code"] for each in expected["probabilities"]
    ]
    assert violations(page) == []
