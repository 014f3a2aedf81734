"""Results kept on the device: only if asked for, encrypted, and deleted with one button."""

import base64
import io
import json
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, Playwright, Route, expect

from tests.e2e.page.conftest import ARGUMENTS, CHROMIUM, Visit
from tests.e2e.page.hands import (
    PREDICTIONS,
    button,
    choose,
    file,
    lesion,
    predict,
    scrolls_sideways,
    violations,
)
from tests.e2e.page.keeping import (
    NOTE,
    PASSPHRASE,
    PHONE,
    STORED,
    fill_and_keep,
    keep_first,
    open_dialog,
    open_section,
    press_keep,
    reopened,
    see_failure,
    tamper,
    unlock,
)
from tests.e2e.service_process import DEADLINE_S, ServiceProcess
from tests.fakes import lesion_image


def test_nothing_is_kept_unless_the_person_asks(predicted: Page) -> None:
    assert predicted.evaluate("async () => (await indexedDB.databases()).length") == 0
    loaded = predicted.evaluate(
        "() => performance.getEntriesByType('resource').map((entry) => entry.name)"
    )
    assert not [url for url in loaded if url.endswith("kept.js")]
    section = open_section(predicted)
    expect(section).to_contain_text("No result is kept on this device.")
    assert violations(predicted) == []


def test_a_kept_result_is_there_after_the_page_was_closed(
    visit: Visit, service: ServiceProcess
) -> None:
    page = visit(service.url, **PHONE)
    choose(page, lesion())
    predict(page)
    diagnosis = page.locator(".result h2").inner_text()
    percent = page.locator(".probability").inner_text()
    dialog = open_dialog(page)
    assert violations(page) == []
    dialog.locator("#keep-new").fill(PASSPHRASE)
    dialog.locator("#keep-repeat").fill(PASSPHRASE)
    fill_and_keep(page, note=NOTE)
    page.reload()
    page.locator("body.loaded").wait_for()
    section = open_section(page)
    expect(section).to_contain_text("1 result is kept here, encrypted.")
    assert violations(page) == []
    unlock(page)
    expect(section.locator("h4")).to_have_text(diagnosis)
    expect(section).to_contain_text(percent)
    expect(section).to_contain_text(NOTE)
    expect(section.locator(".notice")).to_have_text("Research use only. Not a medical device.")
    # The image was not asked for.
    expect(button(page, "Show the image")).to_have_count(0)
    assert (violations(page), scrolls_sideways(page)) == ([], False)
    button(page, "Lock").click()
    expect(section.locator("h4")).to_have_count(0)
    expect(page.locator("#unlock-passphrase")).to_be_visible()


def test_nothing_stands_on_the_disk_in_clear_text(
    playwright: Playwright, service: ServiceProcess, tmp_path: Path
) -> None:
    image = io.BytesIO()
    exif = Image.Exif()
    exif[0x010E] = "patient-4411"
    lesion_image(5, "mel", (600, 450)).save(image, "JPEG", quality=95, exif=exif)
    clear = b"this-is-in-clear-text-9137"
    context = playwright.chromium.launch_persistent_context(
        tmp_path / "profile", executable_path=CHROMIUM, args=ARGUMENTS
    )
    context.set_default_timeout(DEADLINE_S * 1000)
    page = context.pages[0]
    page.goto(service.url)
    page.locator("body.loaded").wait_for()
    choose(page, file("patient-4411.jpg", image.getvalue()))
    predict(page)
    keep_first(page, image=True, note=NOTE)
    tamper(page, "header", f"store.put('{clear.decode()}', 'proof');")
    context.close()
    stored = b"".join(
        path.read_bytes()
        for path in (tmp_path / "profile").rglob("*")
        if path.is_file() and "IndexedDB" in str(path)
    )
    # It is there, and this is how text in clear would be found.
    assert clear in stored
    for secret in (PASSPHRASE, NOTE, "patient-4411", "malignancy", "Melanoma", "probabilities"):
        assert secret.encode() not in stored, secret
        assert secret.encode("utf-16-le") not in stored, secret
    # The beginning of every JPEG, and the name of its container.
    assert b"\xff\xd8\xff\xe0\x00\x10JFIF" not in stored


def test_the_image_is_kept_without_what_the_camera_wrote_beside_it(
    page: Page, service: ServiceProcess
) -> None:
    image = io.BytesIO()
    exif = Image.Exif()
    exif[0x010E] = "patient-4411"
    lesion_image(5, "mel", (600, 450)).save(image, "JPEG", quality=95, exif=exif)
    choose(page, file("patient-4411.jpg", image.getvalue()))
    predict(page)
    keep_first(page, image=True)
    section = reopened(page)
    button(page, "Show the image").click()
    expect(section.locator("img")).to_have_js_property("naturalWidth", 600)
    with page.expect_download() as download:
        button(page, "Save all as JSON").click()
    saved = json.loads(download.value.path().read_text())
    assert saved["notice"] == "Research use only. Not a medical device."
    (kept,) = saved["results"]
    truth = service.client.post("/v1/predictions", content=image.getvalue()).json()
    assert kept["answer"]["image"] == truth["image"]
    assert kept["answer"]["probabilities"] == truth["probabilities"]
    assert len(kept["answer"]["activation_maps"]) == 7
    picture = base64.b64decode(kept["image_jpeg_base64"])
    assert Image.open(io.BytesIO(picture)).size == (600, 450)
    assert not Image.open(io.BytesIO(picture)).getexif()
    assert b"patient-4411" not in picture
    assert "patient-4411" not in json.dumps(saved)
    # It can be looked at again, as an image like any other.
    button(page, "Add the image to the list").click()
    expect(page.locator(".frame img")).to_have_js_property("naturalWidth", 600)


def test_a_wrong_passphrase_opens_nothing(predicted: Page) -> None:
    keep_first(predicted)
    predicted.reload()
    predicted.locator("body.loaded").wait_for()
    section = open_section(predicted)
    unlock(predicted, "correct horse battery stable")
    expect(section).to_contain_text("This passphrase does not open what is kept here.")
    expect(section.locator("h4")).to_have_count(0)
    # The same letters, typed another way.
    unlock(predicted, PASSPHRASE.replace("correct", "\N{LATIN SMALL LETTER C}orrect"))
    expect(section.locator("h4")).to_have_count(1)


@pytest.mark.parametrize(
    ("passphrase", "repeated", "told"),
    [
        ("too short", "too short", "needs at least 15 characters"),
        (PASSPHRASE, PASSPHRASE + "!", "The two passphrases differ."),
    ],
)
def test_a_passphrase_that_will_not_do_is_refused(
    predicted: Page, passphrase: str, repeated: str, told: str
) -> None:
    dialog = open_dialog(predicted)
    dialog.locator("#keep-new").fill(passphrase)
    dialog.locator("#keep-repeat").fill(repeated)
    press_keep(predicted)
    see_failure(predicted, told)
    assert predicted.evaluate(STORED)["records"] == []
    dialog.locator("#keep-new").fill(PASSPHRASE)
    dialog.locator("#keep-repeat").fill(PASSPHRASE)
    fill_and_keep(predicted)


def test_a_kept_result_names_both_diagnoses_where_they_differ(page: Page) -> None:
    def changed(route: Route) -> None:
        answer = route.fetch()
        other = {"code": "vasc", "name": "Vascular lesion", "probability": 0.822}
        route.fulfill(response=answer, json={**answer.json(), "most_probable": other})

    page.route(PREDICTIONS, changed)
    choose(page, lesion())
    predict(page)
    keep_first(page)
    section = open_section(page)
    expect(section).to_contain_text("Suggested diagnosis")
    expect(section.locator(".differs")).to_have_text("Most probable: Vascular lesion, 82.2%.")


def test_one_button_deletes_everything_without_the_passphrase(predicted: Page) -> None:
    keep_first(predicted, image=True)
    predicted.reload()
    predicted.locator("body.loaded").wait_for()
    section = open_section(predicted)
    button(predicted, "Delete all kept results").click()
    expect(section).to_contain_text("Delete 1 result and the passphrase? This cannot be undone.")
    button(predicted, "Cancel").click()
    expect(button(predicted, "Delete all kept results")).to_be_focused()
    button(predicted, "Delete all kept results").click()
    button(predicted, "Delete them").click()
    expect(section).to_contain_text("No result is kept on this device.")
    assert predicted.evaluate(STORED) == {"header": [], "images": [], "records": []}


def test_one_result_is_deleted_alone(page: Page) -> None:
    choose(page, lesion("mel"), lesion("nv"))
    predict(page)
    keep_first(page, note="first")
    page.locator(".item").nth(1).click()
    predict(page)
    open_dialog(page)
    # Unlocked already: no passphrase is asked for again.
    expect(page.locator("#keep-dialog input[type=password]")).to_have_count(0)
    fill_and_keep(page, note="second")
    section = open_section(page)
    expect(section.locator("bdi")).to_have_text(["second", "first"])
    button(page, "Delete this result").first.click()
    expect(section.locator("bdi")).to_have_text(["first"])


def test_it_locks_itself_when_it_is_not_used(visit: Visit, service: ServiceProcess) -> None:
    page = visit(service.url)
    page.clock.install()
    choose(page, lesion())
    predict(page)
    keep_first(page)
    section = open_section(page)
    expect(section.locator("h4")).to_have_count(1)
    page.clock.fast_forward("09:50")
    expect(section.locator("h4")).to_have_count(1)
    page.clock.fast_forward("00:20")
    expect(section).to_contain_text("Locked, because it was not used for 10 minutes.")
    expect(section.locator("h4")).to_have_count(0)


def test_a_print_has_the_kept_results_alone(visit: Visit, service: ServiceProcess) -> None:
    page = visit(service.url)
    page.evaluate("() => { window.print = () => { document.body.dataset.printed = '1'; }; }")
    choose(page, lesion())
    predict(page)
    keep_first(page, image=True)
    section = open_section(page)
    section.get_by_role("button", name="Print or PDF").click()
    page.locator("body[data-printed]").wait_for()
    page.emulate_media(media="print")
    for shown in ("h4", ".notice", "details li", "img"):
        expect(section.locator(shown).first).to_be_visible()
    expect(section.locator("button").first).to_be_hidden()
    expect(page.locator("main")).to_be_hidden()
    page.evaluate("() => window.dispatchEvent(new Event('afterprint'))")
    expect(page.locator(".result h2")).to_be_visible()
    expect(section).to_be_hidden()


def test_who_answers_without_a_network_keeps_results_without_one(
    visit: Visit, service: ServiceProcess
) -> None:
    page = visit(service.url, service_workers="allow")
    page.evaluate("() => navigator.serviceWorker.ready.then(() => null)")
    page.evaluate("() => localStorage.setItem('lentigo-offline', '1')")
    page.reload()
    page.locator("body.loaded").wait_for()
    found = "async () => Boolean(await caches.match('page/kept.js'))"
    while not page.evaluate(found):
        page.evaluate("() => new Promise(requestAnimationFrame)")
    page.context.set_offline(True)
    page.reload()
    page.locator("body.loaded").wait_for()
    expect(open_section(page)).to_contain_text("No result is kept on this device.")
