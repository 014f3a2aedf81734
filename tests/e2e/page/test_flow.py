"""The page as a clinician uses it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.e2e.page.hands import (
    PREDICTIONS,
    Held,
    button,
    choose,
    lesion,
    open_image,
    predict,
    see_result,
    show_map,
)
from tests.e2e.service_process import ServiceProcess


def truth_of(service: ServiceProcess, data: bytes) -> dict[str, Any]:
    answer: dict[str, Any] = service.client.post("/v1/predictions", content=data).json()
    return answer


def test_an_image_becomes_a_diagnosis(page: Page, service: ServiceProcess) -> None:
    data = lesion()
    choose(page, data)
    expect(page.locator(".frame img")).to_have_js_property("naturalWidth", 600)
    predict(page)
    truth = truth_of(service, data["buffer"])
    expect(page.locator(".result h2")).to_have_text(truth["diagnosis"]["name"])
    names = [entry["name"] for entry in truth["probabilities"]]
    expect(page.locator(".bars .name")).to_have_text([re.compile(f"^{name}") for name in names])
    expect(page.locator(".result .notice")).to_have_text(truth["notice"])
    refer = "Refer" if truth["malignancy"]["refer"] else "Below the referral threshold"
    expect(page.locator(".verdict h3")).to_contain_text(refer)


def test_the_metrics_of_the_model_stand_beside_the_result(
    page: Page, service: ServiceProcess
) -> None:
    (model,) = service.client.get("/v1/models").json()["models"]
    choose(page, lesion())
    predict(page)
    told = page.locator(".origins")
    expect(told.locator("dl")).to_be_hidden()
    told.locator("summary").click()
    expect(told.locator("dl")).to_be_visible()
    expect(told.locator("code")).to_have_text(model["digest"])
    expect(told).to_contain_text(f"version {model['version']}")
    expect(told).to_contain_text(model["threshold_source"])
    for metric in ("accuracy", "balanced_accuracy", "melanoma_sensitivity"):
        measured = model["metrics"][metric]
        value, low, high = (f"{measured[part]:.1%}" for part in ("value", "low", "high"))
        expect(told).to_contain_text(f"{value} ({low} to {high})")
        expect(told).to_contain_text(f"{measured['n']}")


@pytest.mark.parametrize(
    ("probability", "threshold", "told"),
    [
        (0.25, 0.1, "malignant is 25%. This model advises referral from 10%."),
        (0.25, 0.0001, "malignant is 25%. This model advises referral from 0.01%."),
        (0.00101, 0.00102, "malignant is 0.101%. This model advises referral from 0.102%."),
        (0.00002, 0.001, "malignant is <.0.1%. This model advises referral from 0.1%."),
        (1.0, 0.001, "malignant is >.99.9%. This model advises referral from 0.1%."),
    ],
)
def test_a_probability_and_its_threshold_never_read_the_same(
    page: Page, probability: float, threshold: float, told: str
) -> None:
    def changed(route: Route) -> None:
        answer = route.fetch()
        refer = probability >= threshold
        figures = {
            "probability": probability,
            "threshold": threshold,
            "refer": refer,
            "reasons": ["malignancy"] if refer else [],
        }
        route.fulfill(response=answer, json={**answer.json(), "malignancy": figures})

    page.route(PREDICTIONS, changed)
    choose(page, lesion())
    predict(page)
    expect(page.locator(".verdict p").first).to_contain_text(re.compile(told))


def test_the_map_can_be_chosen_and_faded(page: Page, service: ServiceProcess) -> None:
    data = lesion()
    choose(page, data)
    predict(page)
    assert page.locator(".look canvas").count() == 0
    canvas = show_map(page)
    before = canvas.evaluate("canvas => canvas.toDataURL()")
    last = truth_of(service, data["buffer"])["probabilities"][-1]["code"]
    page.get_by_label("Diagnosis", exact=True).select_option(last)
    expect(canvas).to_have_attribute("data-code", last)
    assert canvas.evaluate("canvas => canvas.toDataURL()") != before
    page.get_by_label("Map opacity").fill("0")
    expect(canvas).to_have_css("opacity", "0")


def test_the_response_is_saved_unchanged(
    page: Page, service: ServiceProcess, tmp_path: Path
) -> None:
    data = lesion()
    choose(page, data)
    predict(page)
    with page.expect_download() as download:
        button(page, "Save as JSON").click()
    download.value.save_as(tmp_path / "answer.json")
    saved = json.loads((tmp_path / "answer.json").read_text())
    truth = truth_of(service, data["buffer"])
    assert data["name"] not in json.dumps(saved)
    assert saved["notice"] == truth["notice"]
    assert saved["drawn_example"] is False
    assert saved["answer"]["image"] == truth["image"]
    assert saved["answer"]["model"] == truth["model"]
    assert [kept["code"] for kept in saved["answer"]["activation_maps"]] == [
        entry["code"] for entry in truth["probabilities"]
    ]


def test_a_print_is_one_page_with_all_that_matters(page: Page) -> None:
    choose(page, lesion(), lesion("nv"))
    predict(page)
    page.emulate_media(media="print")
    shown_in_print = (".report canvas", ".report img", ".result h2", ".bars .name", ".verdict")
    for shown in (*shown_in_print, ".origins", ".notice"):
        expect(page.locator(shown).first).to_be_visible()
    for left_out in ("#worklist", "#intake", "#views", ".look", ".actions", "bdi.name", "select"):
        expect(page.locator(left_out).first).to_be_hidden()
    sheets = page.pdf(format="A4")
    assert len(re.findall(rb"/Type\s*/Page\b", sheets)) == 1


def test_a_list_is_worked_through_with_the_keyboard(page: Page) -> None:
    choose(page, lesion("mel"), lesion("nv"), lesion("bcc"))
    page.locator(".item").first.focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator(".item:focus .name")).to_have_text(lesion("nv")["name"])
    page.keyboard.press("Enter")
    see_result(page)
    expect(page.locator(".item.done .name")).to_have_text(lesion("nv")["name"])
    page.keyboard.press("End")
    expect(page.locator("figcaption .name")).to_have_text(lesion("bcc")["name"])
    expect(button(page, "Predict")).to_be_visible()
    for _ in range(3):
        page.keyboard.press("Delete")
    expect(page.locator(".item")).to_have_count(0)
    expect(page.locator("#choose")).to_be_focused()


def test_a_screen_reader_hears_the_result(page: Page) -> None:
    choose(page, lesion())
    predict(page)
    said = page.get_by_role("status").first
    expect(said).to_contain_text(page.locator(".result h2").inner_text())
    expect(said).to_contain_text("Research use only. Not a medical device.")
    expect(page.locator(".result h2")).to_be_focused()


def test_pressing_predict_twice_asks_once(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.method))
    choose(page, lesion())
    button(page, "Predict").dblclick()
    see_result(page)
    assert asked.count("POST") == 1


def test_results_out_of_order_reach_their_images(page: Page, service: ServiceProcess) -> None:
    held = Held(page, 2)
    images = [lesion(code) for code in ("mel", "bcc", "vasc", "df")]
    choose(page, *images)
    button(page, "Predict all").click()
    held.let_go(1)
    expect(page.locator("tr.done").nth(2)).to_be_visible()
    expect(page.locator("tr.working")).to_have_count(1)
    held.let_go(0)
    expect(page.locator(".item.done")).to_have_count(4)
    for place, image in enumerate(images):
        button(page, "Overview 4").click()
        open_image(page, place)
        expect(page.locator("figcaption .name")).to_have_text(image["name"])
        truth = truth_of(service, image["buffer"])
        expect(page.locator(".result h2")).to_have_text(truth["diagnosis"]["name"])
        with page.expect_download() as download:
            button(page, "Save as JSON").click()
        saved = json.loads(download.value.path().read_text())
        assert saved["answer"]["image"]["sha256"] == truth["image"]["sha256"]
