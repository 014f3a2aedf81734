"""Results kept on the device: only if asked for, encrypted, and honest where it fails."""

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, Playwright, Route, expect

from tests.e2e.page.conftest import ARGUMENTS, CHROMIUM, Visit
from tests.e2e.page.hands import (
    PREDICTIONS,
    button,
    choose,
    file,
    lesion,
    predict,
    scrolls_sideways,
    serve_modules,
    violations,
)
from tests.e2e.service_process import DEADLINE_S, ServiceProcess
from tests.fakes import lesion_image

PASSPHRASE = "correct horse battery staple"
NOTE = "left-forearm-7731"
PHONE = {"viewport": {"width": 390, "height": 844}}

# What a person with the tools of the browser can read of it.
STORED = """async () => {
    const database = await new Promise((done) => {
        indexedDB.open("lentigo-kept").onsuccess = (event) => done(event.target.result);
    });
    const names = [...database.objectStoreNames];
    const read = (name) => new Promise((done) => {
        const store = database.transaction(name).objectStore(name);
        store.getAll().onsuccess = (event) => done(event.target.result);
    });
    const found = Object.fromEntries(await Promise.all(names.map(async (n) => [n, await read(n)])));
    database.close();
    return found;
}"""


def tamper(page: Page, name: str, act: str) -> None:
    """Change what is stored, as another program would: `act` on store, values and keys."""
    page.evaluate(
        """async (name) => {
            const database = await new Promise((done) => {
                indexedDB.open("lentigo-kept").onsuccess = (event) => done(event.target.result);
            });
            const transaction = database.transaction(name, "readwrite");
            const store = transaction.objectStore(name);
            const get = (what) => new Promise((done) => {
                store[what]().onsuccess = (event) => done(event.target.result);
            });
            const [values, keys] = [await get("getAll"), await get("getAllKeys")];
            ACT
            await new Promise((done) => { transaction.oncomplete = done; });
            database.close();
        }""".replace("ACT", act),
        name,
    )


FLIP = "new Uint8Array(values[0].result.data)[3] ^= 1; store.put(values[0]);"
SWAP = """[values[0].result, values[1].result] = [values[1].result, values[0].result];
    values.forEach((value) => store.put(value));"""


def open_dialog(page: Page) -> Locator:
    button(page, "Keep on this device").click()
    dialog = page.locator("#keep-dialog")
    expect(dialog.locator("form, .alert:not(:empty)").first).to_be_visible()
    return dialog


def press_keep(page: Page) -> None:
    page.locator("#keep-dialog").get_by_role("button", name="Keep", exact=True).click()


def keep_first(page: Page, *, image: bool = False, note: str = "") -> None:
    """Keep the selected result, under a new passphrase."""
    dialog = open_dialog(page)
    dialog.locator("#keep-new").fill(PASSPHRASE)
    dialog.locator("#keep-repeat").fill(PASSPHRASE)
    fill_and_keep(page, image=image, note=note)


def fill_and_keep(page: Page, *, image: bool = False, note: str = "") -> None:
    dialog = page.locator("#keep-dialog")
    dialog.locator("#keep-image").set_checked(image)
    dialog.locator("#keep-note").fill(note)
    press_keep(page)
    expect(dialog).to_have_count(0)
    expect(button(page, "Kept on this device")).to_be_disabled()


def open_section(page: Page) -> Locator:
    page.get_by_text("Kept results", exact=True).click()
    return page.locator("#kept-body")


def unlock(page: Page, passphrase: str = PASSPHRASE) -> None:
    page.locator("#unlock-passphrase").fill(passphrase)
    button(page, "Unlock").click()


def reopened(page: Page) -> Locator:
    """The list, in the page loaded again and unlocked."""
    page.reload()
    page.locator("body.loaded").wait_for()
    section = open_section(page)
    unlock(page)
    expect(section.locator("h3")).to_be_visible()
    return section


def see_failure(page: Page, text: str) -> None:
    expect(page.locator("#keep-dialog .alert")).to_contain_text(text)


@pytest.fixture
def predicted(page: Page) -> Page:
    choose(page, lesion())
    predict(page)
    return page


@pytest.fixture
def module_page(visit: Visit, service: ServiceProcess) -> Page:
    """A page whose modules can be imported one by one."""
    page = visit(service.url, service_workers="block")
    serve_modules(page)
    return page


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


@pytest.mark.parametrize(("act", "damaged"), [(FLIP, 1), (SWAP, 2)])
def test_a_damaged_record_is_told_and_leaves_the_others(page: Page, act: str, damaged: int) -> None:
    choose(page, lesion("mel"), lesion("nv"))
    predict(page)
    keep_first(page)
    page.locator(".item").nth(1).click()
    predict(page)
    open_dialog(page)
    fill_and_keep(page)
    tamper(page, "records", act)
    section = reopened(page)
    expect(section.get_by_text("This result is damaged and cannot be read.")).to_have_count(damaged)
    expect(section.locator("h4")).to_have_count(2 - damaged)
    button(page, "Delete this result").last.click()
    expect(section.locator(".kept-list > li")).to_have_count(1)


@pytest.mark.parametrize(
    "act",
    [
        "values[0].derivation.iterations = 1000; store.put(values[0], keys[0]);",
        "store.put({}, keys[0]);",
        "store.clear();",
    ],
)
def test_a_damaged_header_is_told_and_can_be_deleted(predicted: Page, act: str) -> None:
    keep_first(predicted)
    tamper(predicted, "header", act)
    predicted.reload()
    predicted.locator("body.loaded").wait_for()
    section = open_section(predicted)
    expect(section).to_contain_text("What is kept here is damaged and cannot be opened.")
    button(predicted, "Delete all kept results").click()
    button(predicted, "Delete them").click()
    expect(section).to_contain_text("No result is kept on this device.")


def test_a_full_disk_is_told_and_nothing_is_half_kept(
    predicted: Page, service: ServiceProcess
) -> None:
    devtools = predicted.context.new_cdp_session(predicted)
    origin = service.url.rstrip("/")
    # Before the first write: the browser remembers for a while how much space there was.
    devtools.send("Storage.overrideQuotaForOrigin", {"origin": origin, "quotaSize": 1})
    dialog = open_dialog(predicted)
    dialog.locator("#keep-new").fill(PASSPHRASE)
    dialog.locator("#keep-repeat").fill(PASSPHRASE)
    press_keep(predicted)
    see_failure(predicted, "This device has no space left for it. Nothing was kept.")
    assert predicted.evaluate(STORED) == {"header": [], "images": [], "records": []}
    devtools.send("Storage.overrideQuotaForOrigin", {"origin": origin})
    # What was typed is still there.
    fill_and_keep(predicted)
    assert len(predicted.evaluate(STORED)["records"]) == 1


def test_a_browser_that_forbids_storage_is_told(visit: Visit, service: ServiceProcess) -> None:
    page = visit(service.url)
    page.evaluate(
        """() => { indexedDB.open = () => { throw new DOMException("no", "SecurityError"); }; }"""
    )
    choose(page, lesion())
    predict(page)
    open_dialog(page)
    see_failure(page, "This browser lets no page keep anything")
    button(page, "Not now").click()
    expect(page.locator("#keep-dialog")).to_have_count(0)
    expect(open_section(page)).to_contain_text("This browser lets no page keep anything")


@pytest.fixture
def elsewhere(playwright: Playwright) -> Iterator[Browser]:
    """A browser that finds this machine under a name, for which it wants HTTPS."""
    rules = "--host-resolver-rules=MAP lentigo 127.0.0.1"
    launched = playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, rules])
    yield launched
    launched.close()


def test_without_a_secure_connection_it_says_so(
    elsewhere: Browser, service: ServiceProcess
) -> None:
    context = elsewhere.new_context()
    context.set_default_timeout(DEADLINE_S * 1000)
    page = context.new_page()
    page.goto(service.url.replace("127.0.0.1", "lentigo"))
    page.locator("body.loaded").wait_for()
    assert not page.evaluate("() => isSecureContext")
    choose(page, lesion())
    predict(page)
    open_dialog(page)
    see_failure(page, "only where the page came over HTTPS")
    context.close()


def test_two_tabs_set_no_two_passphrases(predicted: Page, service: ServiceProcess) -> None:
    other = predicted.context.new_page()
    other.goto(service.url)
    other.locator("body.loaded").wait_for()
    choose(other, lesion("nv"))
    predict(other)
    late = open_dialog(other)
    keep_first(predicted)
    late.locator("#keep-new").fill("another passphrase altogether")
    late.locator("#keep-repeat").fill("another passphrase altogether")
    press_keep(other)
    see_failure(other, "A passphrase has just been set in another tab.")
    late.locator("#keep-passphrase").fill(PASSPHRASE)
    fill_and_keep(other)
    assert len(other.evaluate(STORED)["header"]) == 1


def test_what_one_tab_deletes_another_does_not_add_to(
    predicted: Page, service: ServiceProcess
) -> None:
    keep_first(predicted)
    section = open_section(predicted)
    expect(section.locator("h4")).to_have_count(1)
    choose(predicted, lesion("nv"))
    predict(predicted)
    dialog = open_dialog(predicted)
    other = predicted.context.new_page()
    other.goto(service.url)
    open_section(other)
    button(other, "Delete all kept results").click()
    button(other, "Delete them").click()
    # The list of the first tab goes at once, and its key opens nothing any more.
    expect(section).to_contain_text("No result is kept on this device.")
    press_keep(predicted)
    see_failure(predicted, "It has been locked in the meantime.")
    assert predicted.evaluate(STORED)["records"] == []
    dialog.locator("#keep-new").fill(PASSPHRASE)
    dialog.locator("#keep-repeat").fill(PASSPHRASE)
    fill_and_keep(predicted)


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


def test_the_key_is_as_strong_as_promised_and_cannot_be_read_out(module_page: Page) -> None:
    found = module_page.evaluate(
        """async () => {
            const { deriveKey, newDerivation, seal, unseal } =
                await import("/page/modules/kept/sealing.js");
            const derivation = newDerivation();
            const key = await deriveKey("correct horse", derivation);
            const bytes = new TextEncoder().encode("text");
            const [one, other] = [await seal(key, bytes, "a"), await seal(key, bytes, "a")];
            const text = (buffer) => buffer && new TextDecoder().decode(buffer);
            return {
                iterations: derivation.iterations,
                salts: derivation.salt.join() !== newDerivation().salt.join(),
                salt: derivation.salt.length,
                algorithm: key.algorithm,
                extractable: key.extractable,
                read: await crypto.subtle.exportKey("raw", key).then(() => true, () => false),
                fresh: one.iv.join() !== other.iv.join() && one.iv.length === 12,
                opened: text(await unseal(key, one, "a")),
                otherName: await unseal(key, one, "b"),
                otherIv: await unseal(key, { ...one, iv: other.iv }, "a"),
            };
        }"""
    )
    assert found == {
        "iterations": 600_000,
        "salts": True,
        "salt": 16,
        "algorithm": {"name": "AES-GCM", "length": 256},
        "extractable": False,
        "read": False,
        "fresh": True,
        "opened": "text",
        "otherName": None,
        "otherIv": None,
    }


def test_the_key_is_that_of_another_implementation(module_page: Page) -> None:
    """PBKDF2 and AES-GCM as Python's cryptography has them open what the page sealed."""
    import hashlib

    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    sealed = module_page.evaluate(
        """async () => {
            const { deriveKey, seal } = await import("/page/modules/kept/sealing.js");
            const salt = Uint8Array.from({ length: 16 }, (_, at) => at);
            const key = await deriveKey("correct horse", { iterations: 600_000, salt });
            const { iv, data } = await seal(key, new TextEncoder().encode("text"), "name");
            return { iv: [...iv], data: [...new Uint8Array(data)] };
        }"""
    )
    key = hashlib.pbkdf2_hmac("sha256", b"correct horse", bytes(range(16)), 600_000)
    assert AESGCM(key).decrypt(bytes(sealed["iv"]), bytes(sealed["data"]), b"name") == b"text"
