"""The page without a network: the same answers on the device itself."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Route, expect

from benchmarks.synthetic.lesion import nevus_jpeg
from lentigo_contract.imaging.read import read_image
from lentigo_contract.manifest.engines import GOLDEN_IMAGES, GOLDEN_SEED, Golden, golden_images
from lentigo_contract.repository.store import ModelStore
from lentigo_engines.golden_answers import golden_answer
from tests.e2e.page.availability import (
    ACCEPTED,
    MODEL,
    answer_of,
    kept,
    open_section,
    press_keep,
    turn_on,
)
from tests.e2e.page.conftest import Visit
from tests.e2e.page.hands import (
    button,
    choose,
    file,
    open_image,
    predict,
    see_problem,
    see_result,
    violations,
)
from tests.e2e.service_process import ServiceProcess, service_process
from tests.fakes import lesion_image
from tests.golden_cases import SORTS, golden_case
from tests.images import encoded
from tests.models import SavedModels, expected
from tests.offline_parity import (
    MAX_DIFFERENCE,
    answer_here,
    answer_of_service,
    compare_all,
    keep_offline,
    pixels_here,
)


@pytest.fixture
def service_workers() -> str:
    """Allowed, but for tests that answer a request before the worker has taken over."""
    return "allow"


PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "is_mobile": True}


def test_with_the_service_gone_the_device_gives_the_services_answer(
    visit: Visit, shipped: ServiceProcess
) -> None:
    page = visit(shipped.url)
    turn_on(page)
    expected = answer_of_service(shipped.client, nevus_jpeg(ACCEPTED), forced=False).answer
    assert expected is not None
    page.context.set_offline(True)
    choose(page, file("mole.jpg", nevus_jpeg(ACCEPTED)))
    predict(page)
    expect(page.locator(".origins")).to_contain_text("predicted on this device")
    answer = answer_of(page)
    assert answer["image"] == expected["image"]
    assert answer["model"] == {**expected["model"], "engine": "litert-web"}
    assert answer["quality"]["accepted"]
    assert answer["malignancy"]["refer"] == expected["malignancy"]["refer"]
    assert answer["diagnosis"]["code"] == expected["diagnosis"]["code"]
    assert answer.keys() == expected.keys()
    button(page, "Describe the lesion").click()
    expect(page.locator(".description-figure")).to_contain_text("only the service can describe")
    expect(page.locator(".description-figure svg")).to_have_count(0)
    assert violations(page) == []


def test_the_installed_page_opens_and_answers_without_a_network(
    visit: Visit, shipped: ServiceProcess
) -> None:
    page = visit(shipped.url, **PHONE)
    turn_on(page)
    version = shipped.client.get("/v1/models").json()["models"][0]["version"]
    page.context.set_offline(True)
    page.reload()
    expect(page.locator("#model")).to_contain_text(f"Model lentigo, version {version}")
    choose(
        page, file("a.jpg", nevus_jpeg(ACCEPTED)), file("b.png", encoded(lesion_image(1), "PNG"))
    )
    button(page, "Predict all").click()
    expect(page.locator(".item.done")).to_have_count(2)
    page.context.set_offline(False)
    page.reload()
    # With the service back, it answers again.
    choose(page, file("c.jpg", nevus_jpeg(ACCEPTED)))
    predict(page)
    expect(page.locator(".origins")).not_to_contain_text("on this device")


def test_golden_cases_of_every_sort_are_answered_as_by_the_service(
    visit: Visit, shipped: ServiceProcess
) -> None:
    page = visit(shipped.url)
    keep_offline(page)
    cases = [golden_case(2, number) for number in range(2 * len(SORTS))]
    # Bytes that a decoder does not notice to be damaged may be decoded otherwise elsewhere.
    found = list(
        compare_all((each for each in cases if each.sort != "flipped"), shipped.client, page)
    )
    assert [each for each in found if not each.same] == []
    assert not any(each.only_service for each in found)
    assert max(each.difference for each in found) <= MAX_DIFFERENCE
    assert max(each.map_difference for each in found) <= 1


def test_the_network_gets_the_services_pixels_to_the_bit(
    visit: Visit, shipped: ServiceProcess
) -> None:
    page = visit(shipped.url)
    keep_offline(page)
    # Files of every sort, and sides that are odd for two passes of resizing.
    files = [
        case.data
        for case in (golden_case(3, 8 + number) for number in range(len(SORTS)))
        if case.sort not in ("truncated", "flipped", "not-an-image")
    ] + [
        encoded(lesion_image(3, size=size), "PNG")
        for size in ((33, 900), (900, 33), (223, 225), (224, 500), (500, 224), (1000, 999))
    ]
    for data in files:
        assert np.array_equal(pixels_here(page, data), read_image(data).pixels)


def test_an_image_that_cannot_be_assessed_is_withheld_here_too(
    visit: Visit, shipped: ServiceProcess
) -> None:
    page = visit(shipped.url)
    keep_offline(page)
    black = encoded(lesion_image(1).point(lambda value: value // 20), "PNG")
    for data in (black, encoded(lesion_image(1).resize((90, 90)), "PNG")):
        here = answer_here(page, data, forced=False).answer
        there = answer_of_service(shipped.client, data, forced=False).answer
        assert here is not None
        assert there is not None
        assert here["diagnosis"] is None
        assert here["quality"] == there["quality"]
        assert here["malignancy"] == there["malignancy"]


def test_what_only_the_service_reads_is_said_to_need_it(
    visit: Visit, shipped: ServiceProcess
) -> None:
    page = visit(shipped.url)
    turn_on(page)
    page.context.set_offline(True)
    choose(page, file("mole.tif", encoded(lesion_image(1), "TIFF", compression="jpeg")))
    button(page, "Predict").click()
    see_problem(page, "This kind of image needs the service")
    choose(page, file("cut.jpg", nevus_jpeg(ACCEPTED)[:9000]))
    page.locator(".item").nth(1).click()
    button(page, "Predict").click()
    see_problem(page, "This image is damaged")


def test_the_service_gone_in_the_middle_loses_nothing(
    visit: Visit, shipped: ServiceProcess
) -> None:
    page = visit(shipped.url)
    turn_on(page)
    page.route("**/v1/predictions*", lambda route: route.abort("connectionreset"))
    choose(page, file("mole.jpg", nevus_jpeg(ACCEPTED)))
    predict(page)
    expect(page.locator(".origins")).to_contain_text("predicted on this device")


def test_two_tabs_use_what_is_kept_once(visit: Visit, shipped: ServiceProcess) -> None:
    page = visit(shipped.url)
    turn_on(page)
    other = page.context.new_page()
    other.goto(shipped.url)
    other.locator("body.loaded").wait_for()
    page.context.set_offline(True)
    for tab in (page, other):
        choose(tab, file("mole.jpg", nevus_jpeg(ACCEPTED)))
        predict(tab)
        expect(tab.locator(".origins")).to_contain_text("predicted on this device")
    assert len(kept(page)) == 1


def test_two_tabs_do_not_load_it_at_once(visit: Visit, shipped: ServiceProcess) -> None:
    page = visit(shipped.url, service_workers="block")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route(MODEL, hold)
    with page.expect_request(MODEL):
        press_keep(page)
    other = page.context.new_page()
    other.goto(shipped.url)
    press_keep(other)
    expect(other.locator("#offline-body .problem")).to_contain_text("Another tab is loading")
    held[0].continue_()
    expect(page.locator("#offline-body")).to_contain_text("is kept on this device")
    # What the first has kept counts for the second.
    other.get_by_role("button", name="Make available offline").click()
    expect(other.locator("#offline-body")).to_contain_text("is kept on this device")
    assert len(kept(page)) == len(held) == 1


def test_what_another_tab_removed_is_used_no_longer(visit: Visit, shipped: ServiceProcess) -> None:
    page = visit(shipped.url)
    turn_on(page)
    other = page.context.new_page()
    other.goto(shipped.url)
    open_section(other)
    page.context.set_offline(True)
    choose(page, file("a.jpg", nevus_jpeg(ACCEPTED)), file("b.jpg", nevus_jpeg(1)))
    predict(page)
    button(other, "Remove from this device").click()
    expect(other.locator("#offline-body")).to_contain_text("The service cannot be reached now")
    open_image(page, 1)
    button(page, "Predict").click()
    see_problem(page, "The service cannot be reached")


def test_what_was_damaged_on_the_device_is_removed(visit: Visit, shipped: ServiceProcess) -> None:
    page = visit(shipped.url)
    turn_on(page)
    page.reload()
    page.locator("body.loaded").wait_for()
    page.evaluate(
        """async () => {
          const [name] = (await caches.keys()).filter((each) => each.startsWith("lentigo-offline"));
          const cache = await caches.open(name);
          const bytes = new Uint8Array(await (await cache.match("v1/offline/model")).arrayBuffer());
          bytes[bytes.length >> 1] ^= 1;
          await cache.put("v1/offline/model", new Response(bytes));
        }"""
    )
    page.context.set_offline(True)
    choose(page, file("mole.jpg", nevus_jpeg(ACCEPTED)))
    button(page, "Predict").click()
    expect(see_problem(page, "What was kept here was damaged")).to_contain_text("Load it again")
    assert kept(page) == []
    page.context.set_offline(False)
    button(page, "Try again").click()
    see_result(page)


def test_fifty_images_at_once_are_each_answered_as_themselves(
    visit: Visit, shipped: ServiceProcess
) -> None:
    page = visit(shipped.url)
    turn_on(page)
    page.context.set_offline(True)
    images = [lesion_image(place, size=(300 + place, 225)) for place in range(50)]
    choose(page, *(file(f"{n}.png", encoded(image, "PNG")) for n, image in enumerate(images)))
    button(page, "Predict all").click()
    expect(page.locator("tbody tr.done")).to_have_count(50)
    with page.expect_download() as saved:
        button(page, "Save all as JSON").click()
    results = json.loads(saved.value.path().read_text())["results"]
    widths = [result["answer"]["image"]["width"] for result in results]
    assert widths == [300 + place for place in range(50)]


def test_removed_it_is_gone_and_nothing_else(visit: Visit, shipped: ServiceProcess) -> None:
    page = visit(shipped.url)
    turn_on(page)
    button(page, "Remove from this device").click()
    expect(page.get_by_role("button", name="Make available offline")).to_be_visible()
    assert kept(page) == []
    page.context.set_offline(True)
    page.reload()
    expect(page.locator("#model")).to_contain_text("cannot be reached")


def test_a_network_as_the_trainer_exports_it_runs_in_the_page(
    visit: Visit, saved_models: SavedModels, tmp_path: Path
) -> None:
    images = golden_images(GOLDEN_SEED, GOLDEN_IMAGES)
    answers = golden_answer("litert", expected(images, 3))
    store = ModelStore(tmp_path / "models")
    golden = Golden(seed=GOLDEN_SEED, answers={"litert": answers})
    saved_models.publish(store, 3, litert=True, golden=golden)
    with service_process(store.root, LENTIGO_ENGINE="litert") as service:
        service.logged("model in use")
        page = visit(service.url)
        # It answers the golden images before it counts as kept.
        keep_offline(page)
        here = answer_here(page, nevus_jpeg(ACCEPTED)).answer
        there = answer_of_service(service.client, nevus_jpeg(ACCEPTED)).answer
    assert here is not None
    assert there is not None
    assert here["diagnosis"] == pytest.approx(there["diagnosis"], abs=1e-4)
