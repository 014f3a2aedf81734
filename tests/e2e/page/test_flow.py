"""The page as a clinician uses it."""

import json
import re
from importlib.resources import files
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Response, expect

from tests.e2e.page.lesions import button, choose, file, lesion, predict
from tests.e2e.service_process import DEADLINE_S, ServiceProcess
from tests.fakes import lesion_image
from tests.images import encoded

MAX_BYTES = 150_000
MAX_REQUESTS = 10


def violations(page: Page) -> list[str]:
    """What axe-core has against the page by WCAG 2.2 AA."""
    page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text())
    found = page.evaluate(
        "() => axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']})"
    )
    return [f"{entry['id']}: {entry['nodes'][0]['html']}" for entry in found["violations"]]


def test_an_image_becomes_a_diagnosis_with_its_reasons(
    page: Page, service: ServiceProcess, tmp_path: Path
) -> None:
    data = lesion()
    choose(page, data)
    expect(page.locator(".frame img")).to_have_js_property("naturalWidth", 600)
    predict(page)
    truth = service.client.post("/v1/predictions", content=data["buffer"]).json()
    expect(page.locator(".result h2")).to_have_text(truth["diagnosis"]["name"])
    expect(page.locator(".bars li")).to_have_count(7)
    expect(page.locator(".result .notice")).to_have_text(truth["notice"])
    refer = "Refer" if truth["malignancy"]["refer"] else "Below the threshold"
    expect(page.locator(".verdict h3")).to_contain_text(refer)
    expect(page.locator("#model")).to_contain_text("Model lentigo, version")
    last = truth["probabilities"][-1]["code"]
    page.get_by_label("Diagnosis", exact=True).select_option(last)
    expect(page.locator(".map")).to_have_attribute("data-code", last)
    page.get_by_label("Strength of the map").fill("0")
    expect(page.locator(".map")).to_have_css("opacity", "0")
    assert violations(page) == []
    with page.expect_download() as download:
        button(page, "Save as JSON").click()
    download.value.save_as(tmp_path / "answer.json")
    saved = json.loads((tmp_path / "answer.json").read_text())
    assert saved["file"] == data["name"]
    assert saved["answer"]["image"]["sha256"] == truth["image"]["sha256"]
    assert len(saved["answer"]["activation_maps"]) == 7
    page.emulate_media(media="print")
    expect(page.locator(".map")).to_be_visible()
    expect(page.locator(".provenance")).to_be_visible()
    expect(page.locator("#worklist")).to_be_hidden()


def test_twelve_files_of_which_three_are_no_images(page: Page) -> None:
    images = [lesion(code, seed) for code in ("nv", "mel", "bcc") for seed in range(3)]
    heic = file("photo.heic", b"\0\0\0\x18ftypheic" + bytes(100))
    others = [file("letter.pdf", b"%PDF-1.7"), file("empty.jpg", b""), heic]
    choose(page, *images[:5], *others, *images[5:])
    expect(page.locator(".item.failed")).to_have_count(3)
    button(page, "Predict all").click()
    expect(page.locator(".item.done")).to_have_count(9)
    page.locator(".item").first.focus()
    for _ in range(7):
        page.keyboard.press("ArrowDown")
    expect(page.locator(".item:focus .name")).to_have_text("photo.heic")
    expect(page.locator(".problem")).to_contain_text("HEIC images cannot be read")
    page.keyboard.press("Delete")
    expect(page.locator(".item")).to_have_count(11)
    expect(page.locator(".item:focus .name")).to_have_text(images[5]["name"])
    expect(page.locator("figcaption .name")).to_have_text(images[5]["name"])


def test_pressing_predict_twice_asks_once(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.method))
    choose(page, lesion())
    button(page, "Predict").dblclick()
    expect(page.locator(".result h2")).to_be_visible()
    assert asked.count("POST") == 1


def test_a_large_photograph_is_sent_smaller_and_upright(page: Page) -> None:
    sent = lesion_image(1, "nv", (400, 300)).resize((4000, 3000))
    exif = sent.getexif()
    exif[0x0112] = 6
    choose(page, file("photo.jpg", encoded(sent, "JPEG", exif=exif)))
    with page.expect_response("**/v1/predictions*") as answered:
        predict(page)
    image = answered.value.json()["image"]
    assert (image["width"], image["height"]) == (1200, 1600)
    expect(page.locator(".provenance")).to_contain_text(re.compile("3000 . 4000 to 1200 . 1600"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_at_320_pixels_in_german(
    browser: Browser, service: ServiceProcess, scheme: str
) -> None:
    context = browser.new_context(
        locale="de-DE",
        viewport={"width": 320, "height": 640},
        has_touch=True,
        is_mobile=True,
        color_scheme="dark" if scheme == "dark" else "light",
        reduced_motion="reduce",
    )
    context.set_default_timeout(DEADLINE_S * 1000)
    with context:
        page = context.new_page()
        page.goto(service.url)
        expect(page.get_by_text("Foto aufnehmen")).to_be_visible()
        assert page.locator("#camera").get_attribute("capture") == "environment"
        choose(page, lesion(), lesion("nv"))
        button(page, "Diagnose bestimmen").tap()
        expect(page.locator(".result .notice")).to_have_text(
            "Nur für die Forschung. Kein Medizinprodukt."
        )
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
        assert violations(page) == []


def test_the_first_load_is_small(context: BrowserContext, service: ServiceProcess) -> None:
    answers: list[Response] = []
    page = context.new_page()
    # Playwright marks the listener it is given, which a bound built-in does not take.
    page.on("response", lambda answer: answers.append(answer))  # noqa: PLW0108
    page.goto(service.url)
    expect(page.locator("#model")).to_contain_text("Model lentigo")
    assert len(answers) <= MAX_REQUESTS
    assert sum(len(answer.body()) for answer in answers if answer.status == 200) <= MAX_BYTES
    policy = answers[0].headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_without_a_network_the_page_opens_and_holds_no_result(
    page: Page, context: BrowserContext
) -> None:
    choose(page, lesion())
    predict(page)
    page.evaluate("() => navigator.serviceWorker.ready.then(() => null)")
    kept = page.evaluate(
        "async () => (await (await caches.open('lentigo-shell')).keys()).map((kept) => kept.url)"
    )
    assert kept
    assert not [url for url in kept if "/v1/" in url]
    context.set_offline(True)
    page.reload()
    expect(page.locator("#model")).to_contain_text("cannot be reached")
    expect(page.get_by_text("Choose images")).to_be_visible()


def test_the_texts_have_the_same_places_in_every_language() -> None:
    folder = files("lentigo_inference").joinpath("web/locales")
    english, german = (
        json.loads(folder.joinpath(f"{tag}.json").read_text(encoding="utf-8"))
        for tag in ("en", "de")
    )
    assert english.keys() == german.keys()
    for key, text in english.items():
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", german[key])), key
