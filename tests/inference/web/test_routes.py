"""The page's files as the service gives them; `tests/e2e/page` sees them in a browser."""

import hashlib
import json
import re
from importlib.resources import files

import pytest

from lentigo_contract.imaging.quality import REASONS
from lentigo_inference.settings import Settings
from lentigo_inference.web.assets import bundle_modules, page_files
from lentigo_inference.web.offline import WORKER, offline_files
from tests.inference.live_app import running

PLACES = re.compile(r"\{\w+\}")


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


def test_a_missing_module_is_an_error() -> None:
    with pytest.raises(KeyError, match=r"b\.js"):
        bundle_modules({"main.js": 'import { b } from "./b.js";\n'}, "main.js")


def test_every_language_has_the_same_keys_and_placeholders() -> None:
    folder = files("lentigo_inference").joinpath("web/locales")
    english, *others = (
        json.loads(folder.joinpath(f"{tag}.json").read_text(encoding="utf-8"))
        for tag in ("en", "de")
    )
    for other in others:
        assert english.keys() == other.keys()
        for key, text in english.items():
            assert sorted(PLACES.findall(text)) == sorted(PLACES.findall(other[key])), key


def test_every_text_is_used_and_every_used_text_exists() -> None:
    folder = files("lentigo_inference").joinpath("web")
    texts = json.loads(folder.joinpath("locales/en.json").read_text(encoding="utf-8"))
    shell = page_files()["index.html"].content.decode()
    script = page_files()["app.js"].content.decode()
    named = set(re.findall(r'data-t(?:-label)?="([\w.-]+)"', shell))
    named |= set(re.findall(r'"([a-z]+\.[\w.-]+)"', script)) & texts.keys()
    named |= set(re.findall(r'\bt\("([\w.]+)"', script)) | {"notice", "language"}
    # Put together from what the service says.
    made = {key for key in texts if key.startswith(("problem.", "state.", "diagnosis.", "flaw."))}
    assert named | made == set(texts)


def test_every_quality_reason_has_a_text_and_advice() -> None:
    folder = files("lentigo_inference").joinpath("web/locales")
    texts = json.loads(folder.joinpath("en.json").read_text(encoding="utf-8"))
    told = {f"flaw.{reason}.{part}" for reason in REASONS for part in ("why", "todo")}
    assert told == {key for key in texts if key.startswith("flaw.")}


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
