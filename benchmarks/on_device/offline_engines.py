"""Time the builds of LiteRT for browsers with the shipped network, in headless Chromium.

    .venv/bin/python -m benchmarks.on_device.offline_engines litertjs-core-2.5.3.tgz [--rounds 40]

The argument is the package from npm (`npm pack @litertjs/core@2.5.3`), because only the build that
the page uses ships with Lentigo. All run in a page that is isolated from other origins (COOP and
COEP), without which there are no threads. Builds take turns, so a slow minute slows all of them.
"""

import argparse
import json
import statistics
import tarfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Page, sync_playwright

from lentigo_contract.repository.store import ModelStore
from tests.e2e.page.conftest import ARGUMENTS, SHIPPED

WEB: Final = files("lentigo_inference").joinpath("web")

BUILDS: Final[dict[str, dict[str, Any]]] = {
    "compat, as in the page": {"script": "litert_wasm_compat_internal.js"},
    "relaxed SIMD": {"script": "litert_wasm_internal.js"},
    "threads: 1": {"script": "litert_wasm_threaded_internal.js", "threads": 1},
    "threads: 2": {"script": "litert_wasm_threaded_internal.js", "threads": 2},
    "threads: 4": {"script": "litert_wasm_threaded_internal.js", "threads": 4},
    "WebGPU": {"script": "litert_wasm_internal.js", "accelerator": "webgpu"},
}

PAGE: Final = """<!doctype html><title>LiteRT</title><script type="module">
const wanted = JSON.parse(decodeURIComponent(location.hash.slice(1)));
const { loadLiteRt, loadAndCompile, Tensor } = await import("./index.js");
const { fixBatch } = await import("./tflite.js");
await loadLiteRt(new URL(wanted.script, location).href);
const model = new Uint8Array(await (await fetch("./model.tflite")).arrayBuffer());
fixBatch(model);
const options = { accelerator: wanted.accelerator ?? "wasm" };
if (wanted.threads) options.cpuOptions = { numThreads: wanted.threads };
const compiled = await loadAndCompile(model, options);
const pixels = Uint8Array.from({ length: 224 * 224 * 3 }, (_, at) => (at * 2654435761) >>> 24);
window.run = async (rounds) => {
  const times = [];
  let probabilities;
  for (let round = 0; round < rounds; round += 1) {
    const start = performance.now();
    const image = new Tensor(pixels, [1, 224, 224, 3]);
    const outputs = await compiled.run({ image });
    probabilities = Array.from(await outputs.probabilities.data());
    times.push(performance.now() - start);
    for (const tensor of [image, ...Object.values(outputs)]) tensor.delete();
  }
  return { times, probabilities, isolated: crossOriginIsolated };
};
</script>"""

TYPES: Final = {".html": "text/html", ".js": "text/javascript", ".wasm": "application/wasm"}


def main() -> None:
    """Open a page for each build, let them take turns, and print medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("package", type=Path, help="@litertjs/core as npm packs it")
    parser.add_argument("--rounds", type=int, default=40, help="images for each build")
    options = parser.parse_args()
    with served(contents(options.package)) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        pages = {}
        for name, build in BUILDS.items():
            page = browser.new_page()
            failure = opened(page, f"{url}/#{json.dumps(build)}")
            if failure is None:
                pages[name] = page
            else:
                print(f"{name}: does not run here ({failure})")
        times: dict[str, list[float]] = {name: [] for name in pages}
        answers: dict[str, list[float]] = {}
        for page in pages.values():
            run(page, 5)
        for _ in range(options.rounds // 5):
            for name, page in pages.items():
                result = run(page, 5)
                times[name] += result["times"]
                answers[name] = result["probabilities"]
        first = next(iter(answers.values()))
        for name, taken in times.items():
            pairs = zip(answers[name], first, strict=True)
            off = max(abs(one - other) for one, other in pairs)
            print(
                f"{name}: median {statistics.median(taken):.0f} ms (n = {len(taken)}, "
                f"{min(taken):.0f} to {max(taken):.0f} ms), differs by {off:.1e}"
            )
        browser.close()


def opened(page: Page, url: str) -> str | None:
    """Open the page of a build; return why it does not run, or None."""
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error).splitlines()[0]))
    page.goto(url)
    for _ in range(600):
        if page.evaluate("() => Boolean(window.run)"):
            return None
        if failures:
            return failures[0]
        page.wait_for_timeout(100)
    return "it did not start within a minute"


def run(page: Page, rounds: int) -> dict[str, Any]:
    """Answer one image again and again."""
    result: dict[str, Any] = page.evaluate("(rounds) => window.run(rounds)", rounds)
    assert result["isolated"], "the page is not isolated"  # noqa: S101
    return result


def contents(package: Path) -> Mapping[str, bytes]:
    """Return the files to serve, by name."""
    found = {"": PAGE.encode()}
    with tarfile.open(package) as archive:
        for member in archive.getmembers():
            name = Path(member.name).name
            if (file := archive.extractfile(member)) and name.endswith((".js", ".wasm")):
                found[name] = file.read()
    found["index.js"] = found["index.js"].replace(b'"@litertjs/wasm-utils"', b'"./wasm-utils.js"')
    found["wasm-utils.js"] = WEB.joinpath("vendor/litert/wasm-utils.js").read_bytes()
    found["tflite.js"] = WEB.joinpath("js/offline/tflite.js").read_bytes()
    store = ModelStore(SHIPPED)
    version = SHIPPED / f"lentigo/{store.latest()}"
    found["model.tflite"] = (version / "litert/float32.tflite").read_bytes()
    return found


@contextmanager
def served(files: Mapping[str, bytes]) -> Iterator[str]:
    """Serve files to a page that is isolated from other origins."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.lstrip("/")
            content = files.get(name)
            self.send_response(200 if content is not None else 404)
            kind = TYPES.get(Path(name or "index.html").suffix, "application/octet-stream")
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content or b"")))
            self.send_header("Cross-Origin-Opener-Policy", "same-origin")
            self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()


if __name__ == "__main__":
    main()
