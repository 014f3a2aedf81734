"""The page's files as the service gives them; `tests/e2e/page` sees them in a browser."""

import hashlib
import json
import re
from importlib.resources import files
from typing import get_args

import pytest

from lentigo_contract.description.colours import COLOURS
from lentigo_contract.description.describe import Reason
from lentigo_contract.imaging.quality import REASONS
from lentigo_inference.settings import Settings
from lentigo_inference.web.assets import FEATURES, bundle_modules, page_files
from lentigo_inference.web.offline import WORKER, offline_files
from tests.inference.live_app import running

LANGUAGES = ["en", "de", "es", "fr", "pt", "ar"]

# In an ICU message: what begins an option, and the name of a value.
OPTION = re.compile(r"(zero|one|two|few|many|other|=\d+) \{")
VALUE = re.compile(r"\{(\w+)[},]")

MADE = (
    "problem.",
    "state.",
    "diagnosis.",
    "flaw.",
    "overview.",
    "origins.",
    "undescribed.",
    "colour.",
    "kept.failed.",
    "camera.failed.",
    "camera.issue.",
)


def texts(tag: str) -> dict[str, str]:
    path = files("lentigo_inference").joinpath(f"web/locales/{tag}.json")
    read: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return read


def scripts() -> str:
    """All of the page's own code."""
    return "".join(page_files()[name].content.decode() for name in ("app.js", *FEATURES))


def values(text: str) -> set[str]:
    return set(VALUE.findall(OPTION.sub("", text)))


@pytest.mark.anyio
async def test_every_file_has_the_content_security_policy(settings: Settings) -> None:
    async with running(settings) as service:
        for name in page_files():
            answer = await service.client.get(f"/page/{name}")
            assert answer.status_code == 200
            assert answer.headers["x-content-type-options"] == "nosniff"
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            # The camera is this page's alone.
            allowed = answer.headers["permissions-policy"]
            assert allowed == "camera=(self), geolocation=(), microphone=()"


@pytest.mark.anyio
async def test_a_file_that_has_not_changed_is_not_sent_again(settings: Settings) -> None:
    async with running(settings) as service:
        first = await service.client.get("/page/app.js")
        again = await service.client.get(
            "/page/app.js", headers={"If-None-Match": first.headers["etag"]}
        )
    assert again.status_code == 304
    assert again.content == b""


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [("gzip, br", "gzip"), ("br;q=1, GZIP;q=0.5", "gzip"), ("gzip;q=0", None), ("identity", None)],
)
async def test_texts_are_compressed_for_those_who_take_it(
    settings: Settings, accepted: str, encoding: str | None
) -> None:
    async with running(settings) as service:
        answer = await service.client.get("/page/app.js", headers={"Accept-Encoding": accepted})
    assert answer.headers.get("content-encoding") == encoding
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.content == page_files()["app.js"].content


@pytest.mark.anyio
async def test_a_picture_is_not_compressed_again(settings: Settings) -> None:
    async with running(settings) as service:
        answer = await service.client.get("/page/icon-192.png")
    assert "content-encoding" not in answer.headers


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/page/none.js", "/page/../settings.py", "/page/js/main.js"])
async def test_other_paths_are_404(settings: Settings, path: str) -> None:
    async with running(settings) as service:
        assert (await service.client.get(path)).status_code == 404


def test_no_file_names_another_host() -> None:
    for name, file in page_files().items():
        if not name.endswith(".png"):
            named = set(re.findall(r"https?://[\w.]+", file.content.decode()))
            # The name of SVG's own language, which nobody asks for.
            assert named <= {"http://www.w3.org"}, name


def test_modules_are_joined_after_those_they_import() -> None:
    modules = {
        "main.js": 'import { b } from "./b.js";\nb();\n',
        "b.js": 'import { c } from "./c.js";\nexport const b = c;\n',
        "c.js": "export const c = () => 1;\n",
        "unused.js": "export const d = 1;\n",
    }
    assert bundle_modules(modules, "main.js") == "const c = () => 1;\nconst b = c;\nb();\n"


def test_an_import_is_found_from_the_folder_it_stands_in() -> None:
    modules = {
        "main.js": 'import { a } from "./one/a.js";\na();\n',
        "one/a.js": (
            'import { b } from "./b.js";\n'
            'import { c } from "../two/c.js";\n'
            "export const a = b + c;\n"
        ),
        "one/b.js": "export const b = 1;\n",
        "two/c.js": "export const c = 2;\n",
    }
    joined = bundle_modules(modules, "main.js")
    assert joined == "const b = 1;\nconst c = 2;\nconst a = b + c;\na();\n"
    alone = bundle_modules(modules, "one/a.js", keep_exports=True)
    assert alone == "const b = 1;\nconst c = 2;\nexport const a = b + c;\n"


def test_a_name_that_two_modules_declare_is_refused() -> None:
    modules = {
        "main.js": 'import { b } from "./b.js";\nconst limit = b;\n',
        "b.js": "function limit() {}\nexport const b = 1;\n",
    }
    with pytest.raises(ValueError, match=r"b\.js and main\.js both declare limit"):
        bundle_modules(modules, "main.js")


def test_the_service_worker_knows_every_script_that_is_loaded_later() -> None:
    worker = page_files()["sw.js"].content.decode()
    for name in FEATURES:
        assert f'"page/{name}"' in worker, name


def test_every_reason_why_nothing_was_kept_has_a_text() -> None:
    script = page_files()["kept.js"].content.decode()
    reasons = set(re.findall(r'new KeptError\("([\w-]+)"\)', script))
    named = script.partition("const REASONS = {")[2].partition("};")[0]
    reasons |= set(re.findall(r': "(\w+)",', named)) | {"other"}
    assert len(reasons) > 8
    told = {f"kept.failed.{reason}" for reason in reasons}
    assert told == {key for key in texts("en") if key.startswith("kept.failed.")}


def test_every_reason_for_no_picture_and_every_advice_has_a_text() -> None:
    script = page_files()["camera.js"].content.decode()
    reasons = set(re.findall(r'(?:CameraError|#fail)\("([\w-]+)"\)', script)) | {"other"}
    reasons |= set(re.findall(r'^  \w+Error: "(\w+)",', script, re.MULTILINE))
    told = {key for key in texts("en") if key.startswith("camera.failed.")}
    assert {f"camera.failed.{reason}" for reason in reasons} == told
    issues = {*REASONS, "glare", "no-lesion", "too-far"} - {"unlike-training-images"}
    told = {key for key in texts("en") if key.startswith("camera.issue.")}
    assert {f"camera.issue.{issue}" for issue in issues} == told


def test_a_missing_module_is_an_error() -> None:
    with pytest.raises(KeyError, match=r"b\.js"):
        bundle_modules({"main.js": 'import { b } from "./b.js";\n'}, "main.js")


def test_every_language_has_the_same_keys_in_the_same_order() -> None:
    for tag in LANGUAGES:
        assert list(texts(tag)) == list(texts("en")), tag


def test_every_translation_names_the_same_values() -> None:
    for tag in LANGUAGES:
        for key, text in texts(tag).items():
            assert values(text) == values(texts("en")[key]), (tag, key)


def test_no_text_has_an_apostrophe_that_would_quote() -> None:
    """ICU's apostrophe hides a brace behind it; the typographic one never does."""
    for tag in LANGUAGES:
        assert [key for key, text in texts(tag).items() if "'" in text] == [], tag


def test_the_page_offers_the_languages_that_have_a_file() -> None:
    script = page_files()["app.js"].content.decode()
    assert (
        re.findall(r'^  (\w\w): \{ name: "[^"]+", dir: "(?:ltr|rtl)" \},$', script, re.MULTILINE)
        == LANGUAGES
    )
    for tag in LANGUAGES:
        assert f'name: "{texts(tag)["language"]}"' in script


def test_every_text_is_used_and_every_used_text_exists() -> None:
    shell = page_files()["index.html"].content.decode()
    script = scripts()
    named = set(re.findall(r'data-t(?:-label)?="([\w.-]+)"', shell))
    named |= set(re.findall(r'"([a-z]+\.[\w.-]+)"', script)) & texts("en").keys()
    named |= set(re.findall(r'\bt\("([\w.]+)"', script)) | {"notice", "language"}
    # Put together from what the service says, or from the names of columns.
    made = {key for key in texts("en") if key.startswith(MADE)}
    assert named | made == set(texts("en"))


def test_every_column_and_every_entry_of_the_origins_has_a_name() -> None:
    script = page_files()["app.js"].content.decode()
    keys = script.partition("const KEYS = {")[2].partition("\n};")[0]
    columns = re.findall(r"^  (\w+): \(", keys, re.MULTILINE)
    assert len(columns) == 7
    entries = re.findall(
        r'^    \["(\w+)", ', script.partition("function entries(item)")[2], re.MULTILINE
    )
    assert len(entries) == 10
    for key in [
        *(f"overview.{name}" for name in columns),
        *(f"origins.{name}" for name in entries),
    ]:
        assert key in texts("en")


def test_every_quality_reason_has_a_text_and_advice() -> None:
    told = {f"flaw.{reason}.{part}" for reason in REASONS for part in ("why", "todo")}
    assert told == {key for key in texts("en") if key.startswith("flaw.")}


def test_every_reason_and_every_colour_of_a_description_has_a_text() -> None:
    told = {f"undescribed.{reason}" for reason in get_args(Reason)}
    assert told == {key for key in texts("en") if key.startswith("undescribed.")}
    named = {f"colour.{name}" for name in COLOURS}
    assert named == {key for key in texts("en") if key.startswith("colour.")}


@pytest.mark.anyio
async def test_only_the_worker_may_compile_webassembly(settings: Settings) -> None:
    async with running(settings) as service:
        for name in offline_files():
            answer = await service.client.get(f"/page/{name}", headers={"Accept-Encoding": "br"})
            assert answer.status_code == 200
            policy = answer.headers["content-security-policy"]
            assert ("'wasm-unsafe-eval'" in policy) == (name == WORKER)
            assert "'unsafe-" not in policy


@pytest.mark.anyio
async def test_a_client_without_brotli_is_told(settings: Settings) -> None:
    async with running(settings) as service:
        path = "/page/offline/imaging.wasm"
        answer = await service.client.get(path, headers={"Accept-Encoding": "gzip"})
        assert answer.status_code == 406
        assert (await service.client.get("/page/offline/none.wasm")).status_code == 404


def test_what_is_kept_is_listed_with_its_sums() -> None:
    listed = json.loads(offline_files()["offline/files.json"].content)["files"]
    for file in listed:
        stored = offline_files()[file["path"].removeprefix("page/")]
        assert file["transferred"] == len(stored.content)
        if not stored.encoding:
            assert file["bytes"] == len(stored.content)
            assert file["sha256"] == hashlib.sha256(stored.content).hexdigest()


def test_litert_is_what_its_package_holds() -> None:
    folder = files("lentigo_inference").joinpath("web/vendor/litert")
    lines = folder.joinpath("SHA256SUMS").read_text(encoding="utf-8").splitlines()
    for line in lines:
        sha256, name = line.split()
        assert hashlib.sha256(folder.joinpath(name).read_bytes()).hexdigest() == sha256, name
    assert len(lines) == 5


def test_the_offline_section_has_all_its_texts_in_every_language() -> None:
    script = files("lentigo_inference").joinpath("web/js/offline/texts.js").read_text("utf-8")
    blocks = re.findall(r"^  (\w\w): \{\n(.*?)^  \},$", script, re.MULTILINE | re.DOTALL)
    keys = {tag: re.findall(r'^    "?([\w.-]+)"?: "', block, re.MULTILINE) for tag, block in blocks}
    assert keys.keys() == set(LANGUAGES)
    assert len(keys["en"]) > 20
    assert all(found == keys["en"] for found in keys.values())


def test_every_reason_why_no_model_is_kept_has_a_text() -> None:
    script = offline_files()["offline.js"].content.decode()
    given = " ".join(re.findall(r"new (?:KeepingError|DeviceProblem|Refusal)\((.*)\)", script))
    # What is damaged on the device becomes a problem of the device.
    reasons = set(re.findall(r'"([a-z-]+)"', given)) - {"damaged"} | {"offline-differs"}
    assert set(re.findall(r'"failed\.([\w-]+)": ', script)) == reasons
