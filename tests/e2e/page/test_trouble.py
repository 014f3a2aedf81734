"""The page when something is wrong."""

import json
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Dialog, Page, expect

from lentigo_contract.repository.store import ModelStore
from tests.e2e.page.conftest import Visit
from tests.e2e.page.hands import (
    PREDICTIONS,
    Held,
    button,
    choose,
    file,
    lesion,
    predict,
    see_problem,
    see_result,
)
from tests.e2e.service_process import DEADLINE_S, ServiceProcess, service_process
from tests.fakes import jpeg_bytes, lesion_image


@contextmanager
def slow_upload(service: ServiceProcess) -> Iterator[None]:
    """Send half an image and stay on the line: one prediction is under way."""
    data = lesion()["buffer"]
    head = (
        "POST /v1/predictions HTTP/1.1\r\nHost: lentigo\r\nContent-Type: image/jpeg\r\n"
        f"Content-Length: {len(data)}\r\nExpect: 100-continue\r\n\r\n"
    )
    with socket.create_connection(service.address, DEADLINE_S) as line:
        line.sendall(head.encode())
        # The service asks for the rest when it begins to read, and by then it has counted us.
        assert line.recv(100).startswith(b"HTTP/1.1 100")
        yield
        line.sendall(data)
        assert line.recv(100).startswith(b"HTTP/1.1 200")


def test_a_damaged_image_is_refused_by_the_service(page: Page) -> None:
    choose(page, file("cut-off.jpg", lesion()["buffer"][:3000]))
    button(page, "Predict").click()
    problem = see_problem(page, "This image is damaged")
    expect(problem).to_contain_text("Choose the original file.")


def test_a_busy_service_is_asked_again_by_itself(visit: Visit, models: Path) -> None:
    settings = {"LENTIGO_MAX_PENDING": "1", "LENTIGO_UPLOAD_TIMEOUT_S": "300"}
    with service_process(models, **settings) as service:
        service.logged("model in use")
        page = visit(service.url)
        choose(page, lesion())
        with slow_upload(service):
            button(page, "Predict").click()
            problem = see_problem(page, "The service is busy")
            expect(problem.locator(".countdown")).to_contain_text("Trying again in")
            expect(button(page, "Try now")).to_be_visible()
        see_result(page)


# The service has no way to fail at will, so a route answers in its place.
def test_an_internal_error_shows_its_request_id(page: Page) -> None:
    page.route(
        PREDICTIONS,
        lambda route: route.fulfill(
            status=500,
            headers={"X-Request-ID": "01a207f0"},
            body='{"type": "urn:lentigo:problem:internal", "detail": "The log tells why."}',
        ),
        times=1,
    )
    choose(page, lesion())
    button(page, "Predict").click()
    expect(see_problem(page, "The service could not answer")).to_contain_text("01a207f0")
    button(page, "Try again").click()
    see_result(page)


def test_a_service_without_a_model_is_waited_for(
    visit: Visit, models: Path, tmp_path: Path
) -> None:
    repository = tmp_path / "models"
    number = ModelStore(models).latest()
    version, staging = (repository / "lentigo" / name for name in (f"{number}", ".staging"))
    shutil.copytree(models / f"lentigo/{number}", staging)
    with service_process(repository) as service:
        page = visit(service.url)
        expect(page.locator("#model")).to_contain_text("no model yet")
        choose(page, lesion())
        button(page, "Predict").click()
        see_problem(page, "The service has no model yet")
        staging.rename(version)
        see_result(page)
        expect(page.locator("#model")).to_contain_text(f"Model lentigo, version {number}")


def test_a_service_that_goes_away_is_waited_for(visit: Visit, models: Path) -> None:
    with service_process(models) as service:
        service.logged("model in use")
        page = visit(service.url)
        choose(page, lesion())
        assert service.stop() == 0
    button(page, "Predict").click()
    problem = see_problem(page, "The service cannot be reached")
    expect(problem).to_contain_text("keeps the image until then")
    with service_process(models, LENTIGO_PORT=str(service.address[1])):
        see_result(page)


def test_a_result_for_a_removed_image_is_dropped(page: Page) -> None:
    held = Held(page)
    choose(page, lesion("mel"), lesion("nv"))
    button(page, "Predict").click()
    held.wait_for(1)
    button(page, "Remove").click()
    expect(page.locator("figcaption .name")).to_have_text(lesion("nv")["name"])
    held.let_go(0)
    expect(button(page, "Predict")).to_be_visible()
    predict(page)
    expect(page.locator(".item.done .name")).to_have_text([lesion("nv")["name"]])


def test_a_prediction_can_be_cancelled_and_restarted(page: Page) -> None:
    held = Held(page)
    choose(page, lesion())
    button(page, "Predict").click()
    held.wait_for(1)
    button(page, "Cancel").click()
    expect(page.locator(".item .state")).to_contain_text("Not predicted yet")
    predict(page)


def test_a_slow_network_shows_the_image_and_that_work_goes_on(page: Page) -> None:
    held = Held(page)
    choose(page, lesion())
    expect(page.locator(".frame img")).to_have_js_property("naturalWidth", 600)
    button(page, "Predict").click()
    expect(page.locator(".progress")).to_contain_text("Predicting")
    held.let_go(0)
    see_result(page)


def test_leaving_the_page_asks_only_while_it_works(page: Page) -> None:
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    held = Held(page)
    choose(page, lesion())
    button(page, "Predict").click()
    held.wait_for(1)
    with page.expect_event("dialog"):
        page.close(run_before_unload=True)
    held.let_go(0)
    see_result(page)
    with page.expect_event("close"):
        page.close(run_before_unload=True)
    assert asked == ["beforeunload"]


def test_a_service_that_goes_away_in_the_middle_answers_all_that_are_left(
    visit: Visit, models: Path
) -> None:
    images = [
        file(f"{place}.jpg", jpeg_bytes(lesion_image(place, "nv", (300 + place, 225))))
        for place in range(12)
    ]
    with service_process(models) as service:
        service.logged("model in use")
        page = visit(service.url)
        held = Held(page, 6)
        choose(page, *images)
        button(page, "Predict all").click()
        for place in range(4):
            held.let_go(place)
        expect(page.locator("tbody tr.done")).to_have_count(4)
        held.wait_for(6)
        assert service.stop() == 0
    for place in (4, 5):
        held.let_go(place)
    expect(page.locator("tbody tr.waiting")).to_have_count(2)
    expect(page.locator("tbody tr.waiting .state").first).to_have_text("Waiting to try again")
    with service_process(models, LENTIGO_PORT=str(service.address[1])):
        expect(page.locator("tbody tr.done")).to_have_count(12)
    with page.expect_download() as download:
        button(page, "Save all as JSON").click()
    for result, image in zip(
        json.loads(download.value.path().read_text())["results"], images, strict=True
    ):
        assert result["answer"]["image"]["width"] == 300 + int(image["name"].split(".")[0])


def test_two_tabs_do_not_mix_their_images(visit: Visit, service: ServiceProcess) -> None:
    first = visit(service.url)
    second = first.context.new_page()
    second.goto(service.url)
    second.locator("body.loaded").wait_for()
    held = Held(first)
    choose(first, lesion("mel"))
    button(first, "Predict").click()
    held.wait_for(1)
    choose(second, lesion("nv"))
    predict(second)
    held.let_go(0)
    see_result(first)
    for tab, code in ((first, "mel"), (second, "nv")):
        expect(tab.locator("figcaption .name")).to_have_text(lesion(code)["name"])
        truth = service.client.post("/v1/predictions", content=lesion(code)["buffer"]).json()
        expect(tab.locator(".result h2")).to_have_text(truth["diagnosis"]["name"])


FORBIDDEN = """for (const name of ["localStorage", "sessionStorage", "caches"]) {
    const get = () => { throw new DOMException("no", "SecurityError"); };
    Object.defineProperty(window, name, { get });
}"""


def test_a_browser_that_forbids_storage_still_answers(
    browser: Browser, service: ServiceProcess
) -> None:
    context = browser.new_context(locale="en-GB", service_workers="block")
    complaints: list[str] = []
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    context.add_init_script(FORBIDDEN)
    page = context.new_page()
    page.goto(service.url)
    page.locator("body.loaded").wait_for()
    choose(page, lesion())
    predict(page)
    page.get_by_label("Language").select_option("de")
    expect(page.locator("html")).to_have_attribute("lang", "de")
    context.close()
    assert complaints == []
