"""Measure the clinician's page in Chromium against the real service with the shipped model.

    .venv/bin/python -m benchmarks.page [--rounds 5]

Service and browser share this machine, as on a workstation. The photograph is drawn by code: 4000 x
3000 pixels with the noise of a sensor. Each round opens the page in a fresh context, with an empty
cache. Explanations are timed in turn with plain answers, so a machine that slows down slows both.
"""

import argparse
import io
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from tests.e2e.page.conftest import ARGUMENTS, DESKTOP, SHIPPED
from tests.e2e.service_process import ServiceProcess, service_process
from tests.fakes import jpeg_bytes, lesion_image

EXPLAIN_ROUNDS = 40


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="loads, and photographs, to time")
    rounds = parser.parse_args().rounds
    with service_process(SHIPPED) as service, sync_playwright() as playwright:
        service.logged("model in use")
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        loads = [first_load(browser, service) for _ in range(rounds)]
        print(f"first load: {loads[0][0]:,} bytes in {loads[0][1]} requests")
        report("first paint", [load[2] for load in loads], "ms")
        with tempfile.TemporaryDirectory() as folder:
            photo = photograph(Path(folder))
            print(f"the photograph: {photo.stat().st_size:,} bytes")
            waits = [answered(browser, service, photo) for _ in range(rounds)]
        report("from choice to answer", waits, "ms")
        explanations(service)
        browser.close()


def first_load(browser: Browser, service: ServiceProcess) -> tuple[int, int, float]:
    """Bytes, requests (the service worker's too) and the first paint in milliseconds."""
    before = requests(service)
    page = opened(browser, service)
    page.evaluate("() => navigator.serviceWorker.ready.then(() => null)")
    size, paint = page.evaluate(
        """() => [
            [...performance.getEntriesByType("navigation"),
             ...performance.getEntriesByType("resource")]
                .reduce((sum, entry) => sum + entry.transferSize, 0),
            performance.getEntriesByName("first-contentful-paint")[0].startTime,
        ]"""
    )
    page.context.close()
    return size, requests(service) - before, paint


def answered(browser: Browser, service: ServiceProcess, photo: Path) -> float:
    """Milliseconds from the choice of a photograph to its answer, Predict pressed at once.

    The answer is that there is no diagnosis: what is drawn is unlike what the model learnt from.
    """
    page = opened(browser, service)
    page.evaluate(
        """() => {
            const choose = document.getElementById("choose");
            choose.addEventListener("change", () => {
                window.begun = performance.now();
                setTimeout(() => document.querySelector("#stage .primary").click());
            });
            new MutationObserver(() => {
                const seen = document.querySelector(".result h2, .withheld h2, .problem h2");
                if (seen) requestAnimationFrame(() => { window.ended ??= performance.now(); });
            }).observe(document.getElementById("stage"), { childList: true, subtree: true });
        }"""
    )
    page.locator("#choose").set_input_files(photo)
    page.wait_for_function("() => window.ended")
    assert page.locator(".withheld h2").count() == 1, "the photograph was not answered"  # noqa: S101
    waited: float = page.evaluate("() => window.ended - window.begun")
    page.context.close()
    return waited


def explanations(service: ServiceProcess) -> None:
    """Time an answer without a map, with one, and with all seven."""
    data = jpeg_bytes(lesion_image(5, "mel", (600, 450)))
    kinds = ("false", "true", "all")

    def ask(explain: str) -> Callable[[], object]:
        path = f"/v1/predictions?force=true&explain={explain}"
        return lambda: service.client.post(path, content=data).raise_for_status()

    for kind in kinds:
        ask(kind)()
    times = {kind: [] for kind in kinds}
    for _ in range(EXPLAIN_ROUNDS):
        for kind in kinds:
            times[kind].append(milliseconds(ask(kind)))
    plain = statistics.median(times["false"])
    for kind in kinds:
        median = statistics.median(times[kind])
        print(f"explain={kind}: {median:.1f} ms, {median / plain - 1:+.0%}")


def photograph(folder: Path) -> Path:
    """A phone's photograph of 12 megapixels."""
    drawn = np.asarray(lesion_image(3, "mel", (800, 600)).resize((4000, 3000)), np.float32)
    noise = np.random.default_rng(0).normal(0, 6, drawn.shape)
    encoded = io.BytesIO()
    Image.fromarray(np.clip(drawn + noise, 0, 255).astype(np.uint8)).save(encoded, "JPEG")
    path = folder / "photograph.jpg"
    path.write_bytes(encoded.getvalue())
    return path


def opened(browser: Browser, service: ServiceProcess) -> Page:
    """The page, loaded, in a context that has seen nothing before."""
    page = browser.new_context(locale="en-GB", viewport=DESKTOP).new_page()
    page.goto(service.url)
    page.locator("#model p").nth(1).wait_for()
    return page


def requests(service: ServiceProcess) -> int:
    """How many requests the service has logged."""
    events = (json.loads(line)["event"] for line in service.lines if line.startswith("{"))
    return sum(event == "request" for event in events)


def milliseconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) * 1000


def report(what: str, values: list[float], unit: str) -> None:
    """Print the median and the worst."""
    print(f"{what}: median {statistics.median(values):.0f} {unit}, worst {max(values):.0f} {unit}")


if __name__ == "__main__":
    main()
