"""The page in its six languages."""

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.page.conftest import Visit
from tests.e2e.page.hands import (
    WEB,
    button,
    choose,
    lesion,
    open_image,
    scrolls_sideways,
    see_result,
    serve_modules,
    violations,
)
from tests.e2e.service_process import ServiceProcess

LOCALES = {
    "en": "en-GB",
    "de": "de-AT",
    "es": "es-MX",
    "fr": "fr-CA",
    "pt": "pt-BR",
    "ar": "ar-EG",
}
READY = "() => navigator.serviceWorker.ready.then(() => null)"


@pytest.fixture
def service_workers() -> str:
    return "allow"


def texts(tag: str) -> dict[str, str]:
    read: dict[str, str] = json.loads(WEB.joinpath(f"locales/{tag}.json").read_text("utf-8"))
    return read


@pytest.fixture
def plain_page(visit: Visit, service: ServiceProcess) -> Page:
    """The page without its service worker, whose requests no route sees."""
    return visit(service.url, service_workers="block")


def formatted(page: Page, message: str, values: dict[str, Any], locale: str = "en") -> str:
    serve_modules(page)
    text: str = page.evaluate(
        """async ([message, values, locale]) => {
            const { formatParts, parseMessage } = await import("/page/modules/language/icu.js");
            return formatParts(parseMessage(message), values, locale);
        }""",
        [message, values, locale],
    )
    return text


@pytest.mark.parametrize("tag", LOCALES)
def test_a_result_in_every_language(visit: Visit, service: ServiceProcess, tag: str) -> None:
    page = visit(service.url, locale=LOCALES[tag], viewport={"width": 390, "height": 844})
    said = texts(tag)
    expect(page.locator("html")).to_have_attribute("lang", tag)
    expect(page.locator("html")).to_have_attribute("dir", "rtl" if tag == "ar" else "ltr")
    expect(page.locator("#language")).to_have_value(tag)
    choose(page, lesion(), lesion("nv"))
    button(page, said["worklist.predictAll"]).click()
    expect(page.locator("tbody tr.done")).to_have_count(2)
    found = {"overview": (violations(page), scrolls_sideways(page))}
    open_image(page, 0)
    see_result(page)
    expect(page.locator(".result .notice")).to_have_text(said["notice"])
    button(page, said["why.show"]).click()
    page.locator(".origins summary").click()
    found["result"] = (violations(page), scrolls_sideways(page))
    assert found == {"overview": ([], False), "result": ([], False)}
    # No key, no value and no brace is left over.
    words = page.locator("body").inner_text()
    assert not re.search(r"[{}]|\b(result|origins|overview|export|why)\.\w+", words)


@pytest.mark.parametrize("tag", LOCALES)
def test_what_is_loaded_later_speaks_every_language(
    visit: Visit, service: ServiceProcess, tag: str
) -> None:
    page = visit(service.url, locale=LOCALES[tag], viewport={"width": 390, "height": 844})
    said = texts(tag)
    choose(page, lesion(), lesion("nv"))
    button(page, said["stage.predict"]).click()
    see_result(page)
    found: dict[str, tuple[list[str], bool]] = {}
    words = ""

    def look(name: str, selector: str) -> None:
        nonlocal words
        found[name] = (violations(page), scrolls_sideways(page))
        words += page.locator(selector).inner_text()

    button(page, said["camera.title"]).click()
    failed = page.locator("#camera-dialog .camera-status")
    expect(failed).to_have_text(said["camera.failed.none"])
    look("camera", "#camera-dialog")
    page.keyboard.press("Escape")
    button(page, said["change.title"]).click()
    ended = re.compile(r"^change\.(unaligned|unclear|done)$")
    expect(page.locator("#change-dialog")).to_have_attribute("data-state", ended)
    look("change", "#change-dialog")
    page.keyboard.press("Escape")
    button(page, said["kept.keep"]).click()
    for name in ("new", "repeat"):
        page.locator(f"#keep-{name}").fill("correct horse battery staple")
    look("keep", "#keep-dialog")
    page.locator("#keep-dialog").get_by_role("button", name=said["kept.keepNow"]).click()
    expect(button(page, said["kept.isKept"])).to_be_disabled()
    page.get_by_text(said["kept.title"], exact=True).click()
    expect(page.locator("#kept-body h4")).to_have_count(1)
    look("kept", "#kept-body")
    assert found == dict.fromkeys(found, ([], False))
    assert not re.search(r"[{}]|\b(camera|change|kept|feature)\.\w+", words)


def test_only_the_language_in_use_is_loaded(visit: Visit, service: ServiceProcess) -> None:
    asked: list[str] = []
    page = visit(service.url, locale="es-ES")
    page.on("request", lambda request: asked.append(request.url))
    page.evaluate(READY)
    loaded = page.evaluate(
        """() => performance.getEntriesByType("resource").map((entry) => entry.name)
            .filter((name) => name.includes("/locales/"))"""
    )
    assert {url.rpartition("/")[2] for url in loaded} == {"es.json"}
    assert not [url for url in asked if "/locales/" in url and not url.endswith("es.json")]


def test_another_language_is_chosen_kept_and_said_of_what_is_already_there(
    visit: Visit, service: ServiceProcess
) -> None:
    page = visit(service.url)
    choose(page, lesion("mel"), lesion("nv"))
    button(page, "Predict").click()
    see_result(page)
    page.get_by_label("Language").select_option("fr")
    french = texts("fr")
    expect(page.locator(".result .notice")).to_have_text(french["notice"])
    expect(page.locator("#model")).to_contain_text("Modèle lentigo")
    expect(page.locator(".item").nth(1)).to_contain_text(french["state.ready"])
    button(page, f"{french['views.overview']} 2").click()
    expect(page.locator("#overview-counts")).to_contain_text("1 sur 2 images prédites")
    button(page, french["export.csv"]).wait_for()
    page.reload()
    expect(page.locator("html")).to_have_attribute("lang", "fr")


def test_a_language_that_cannot_be_had_leaves_the_one_in_use(
    visit: Visit, service: ServiceProcess
) -> None:
    page = visit(service.url)
    choose(page, lesion())
    page.context.set_offline(True)
    page.get_by_label("Language").select_option("pt")
    expect(page.get_by_role("status").first).to_have_text(texts("en")["language.failed"])
    expect(page.locator("#language")).to_have_value("en")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(button(page, "Predict")).to_be_visible()


def test_the_chosen_language_opens_without_a_network(visit: Visit, service: ServiceProcess) -> None:
    page = visit(service.url, locale="ar")
    page.evaluate(READY)
    kept = """async () => (await (await caches.open("lentigo-shell")).keys())
        .map((kept) => kept.url).filter((url) => url.includes("/locales/"))"""
    while not page.evaluate(kept):
        page.evaluate("() => new Promise(requestAnimationFrame)")
    assert [url.rpartition("/")[2] for url in page.evaluate(kept)] == ["ar.json"]
    page.context.set_offline(True)
    page.reload()
    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    expect(page.locator("#intake-title")).to_have_text(texts("ar")["intake.title"])


@pytest.mark.parametrize("tag", LOCALES)
def test_every_language_says_whether_a_clinician_has_read_it(
    visit: Visit, service: ServiceProcess, tag: str
) -> None:
    page = visit(service.url, locale=LOCALES[tag])
    if texts(tag)["reviewed.by"]:
        expect(page.locator("#review")).to_be_hidden()
    else:
        expect(page.locator("#review")).to_have_text(texts(tag)["language.unreviewed"])


def test_arabic_is_mirrored(visit: Visit, service: ServiceProcess) -> None:
    page = visit(service.url, locale="ar")
    choose(page, lesion(), lesion("nv"))
    button(page, texts("ar")["stage.predict"]).click()
    see_result(page)

    def middle(selector: str) -> float:
        box = page.locator(selector).first.bounding_box()
        assert box is not None
        return box["x"] + box["width"] / 2

    # What comes first is at the right.
    assert middle("h1") > middle("header .notice")
    assert middle(".picture") > middle(".panel")
    assert middle(".item >> nth=0") > middle(".item >> nth=1")
    # The bar of a probability grows from the right, and so does the mark of the threshold.
    fill, meter = (page.locator(f".verdict {each}").bounding_box() for each in (".fill", ".meter"))
    assert fill
    assert meter
    assert fill["x"] + fill["width"] == pytest.approx(meter["x"] + meter["width"], abs=1)
    # The image itself is never mirrored.
    image, frame = (page.locator(f".picture .{each}").bounding_box() for each in ("layer", "frame"))
    assert image
    assert frame
    assert image["x"] == pytest.approx(frame["x"], abs=1)
    page.locator(".item").first.focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".item:focus .name")).to_have_text(lesion("nv")["name"])


def test_a_bound_is_said_in_words_where_a_sign_would_be_mirrored(
    visit: Visit, service: ServiceProcess
) -> None:
    page = visit(service.url, locale="ar")
    assert "<" not in "".join(texts("ar").values())
    choose(page, lesion())
    button(page, texts("ar")["stage.predict"]).click()
    see_result(page)
    assert not re.search(r"[<>]", page.locator(".result").inner_text())


@pytest.mark.parametrize("tag", LOCALES)
def test_every_message_can_be_read_and_has_every_plural(plain_page: Page, tag: str) -> None:
    page = plain_page
    serve_modules(page)
    wrong = page.evaluate(
        """async ([messages, tag]) => {
            const { parseMessage } = await import("/page/modules/language/icu.js");
            const needed = new Intl.PluralRules(tag).resolvedOptions().pluralCategories;
            const lacking = (parts) => parts.flatMap((part) => {
                if (typeof part !== "object" || !part.options) return [];
                const missing = needed.filter((name) => !part.options[name]);
                const here = part.kind === "plural" ? missing : [];
                return [...here, ...Object.values(part.options).flatMap(lacking)];
            });
            return Object.entries(messages).flatMap(([key, message]) => {
                try {
                    return lacking(parseMessage(message)).map((name) => `${key}: ${name}`);
                } catch (error) {
                    return [`${key}: ${error}`];
                }
            });
        }""",
        [texts(tag), tag],
    )
    assert wrong == []


PLURAL = "{n, plural, =0 {none} one {# image of {of}} other {# images of {of}}}"


@pytest.mark.parametrize(
    ("message", "values", "locale", "text"),
    [
        (PLURAL, {"n": 0, "of": "x"}, "en", "none"),
        (PLURAL, {"n": 1, "of": "x"}, "en", "1 image of x"),
        (PLURAL, {"n": 1200, "of": "x"}, "de", "1.200 images of x"),
        ("{n, plural, two {pair} few {few} other {#}}", {"n": 2}, "ar", "pair"),
        ("{n, plural, two {pair} few {few} other {#}}", {"n": 4}, "ar", "few"),
        ("{k, select, a {A # {v}} other {O}}", {"k": "a", "v": 7}, "en", "A # 7"),
        ("{k, select, a {A} other {O}}", {"k": "toString"}, "en", "O"),
        ("it''s '{'{v}'}' and it's #", {"v": "x"}, "en", "it's {x} and it's #"),
        ("{missing}.", {}, "en", "."),
    ],
)
def test_icu_messages_are_filled_in(
    plain_page: Page, message: str, values: dict[str, Any], locale: str, text: str
) -> None:
    assert formatted(plain_page, message, values, locale) == text


@pytest.mark.parametrize(
    "message",
    [
        "{",
        "}",
        "{n, plural, one {x}}",
        "{n, date, short}",
        "{n, plural, offset:1 other {x}}",
        "{n, plural, other {x}",
        "{two words}",
    ],
)
def test_a_message_that_is_wrong_is_refused(plain_page: Page, message: str) -> None:
    with pytest.raises(Exception, match="SyntaxError"):
        formatted(plain_page, message, {})
