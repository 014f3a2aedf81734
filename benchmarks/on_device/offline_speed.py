"""Measure what answering on the device takes: time, bytes and memory, in headless Chromium.

    .venv/bin/python -m benchmarks.on_device.offline_speed [load] [answer] [slow] [memory]

Without a name it measures all four. The photo has twelve megapixels, as a phone takes it, and is
drawn by code; it is chosen in the page with the network off, and the clock runs until its result is
there. A slow processor is simulated by stopping all of the browser's processes for five sixths of
the time: DevTools' own throttling slows down one thread, and the answer comes from another.
"""

import os
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.synthetic.lesion import draw_nevus, nevus_jpeg
from tests.e2e.page.conftest import ARGUMENTS, SHIPPED
from tests.e2e.page.hands import button
from tests.e2e.service_process import service_process
from tests.images import encoded

TWELVE_MEGAPIXELS = (4000, 3000)
ROUNDS = 11
SLOWER = 6
SLICE_S = 0.01
FEW, MANY = 20, 200


def main() -> None:
    """Measure what is named, or all."""
    wanted = sys.argv[1:] or ["load", "answer", "slow", "memory"]
    with service_process(SHIPPED) as service, sync_playwright() as playwright:
        service.logged("model in use")
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        if "load" in wanted:
            parts = bytes_to_keep(opened(browser, service.url, workers="block"))
            for path, size in sorted(parts.items(), key=lambda part: -part[1]):
                print(f"load: {size:10,} bytes {path}")
            print(f"load: {sum(parts.values()):,} bytes")
        page = opened(browser, service.url)
        keep(page)
        page.context.set_offline(True)
        if "answer" in wanted:
            report("answer", answers(page, ROUNDS))
        if "slow" in wanted:
            with slowed():
                report(f"answer, {SLOWER} times slower", answers(page, ROUNDS // 2))
        if "memory" in wanted:
            measure_memory(browser, page)
        browser.close()


def opened(browser: Browser, url: str, workers: Literal["allow", "block"] = "allow") -> Page:
    """Open the page in a context of its own, with or without its service worker."""
    page = browser.new_context(service_workers=workers).new_page()
    page.set_default_timeout(600_000)
    page.goto(url)
    page.locator("body.loaded").wait_for()
    return page


def keep(page: Page) -> None:
    """Make the page available offline."""
    page.get_by_text("Answer without a network").click()
    page.get_by_role("button", name="Make available offline").click()
    page.get_by_text("is kept on this device").wait_for()


def bytes_to_keep(page: Page) -> dict[str, int]:
    """Do so, and return the bytes that came over the network, headers included, by path.

    The page has no service worker here, whose own requests DevTools counts elsewhere.
    """
    devtools = page.context.new_cdp_session(page)
    devtools.send("Network.enable")
    paths: dict[str, str] = {}
    received: dict[str, float] = defaultdict(float)

    def ask(event: dict[str, Any]) -> None:
        paths[event["requestId"]] = urlsplit(event["request"]["url"]).path

    def count(event: dict[str, Any]) -> None:
        received[event["requestId"]] += event["encodedDataLength"]

    def finish(event: dict[str, Any]) -> None:
        # Of an answer that comes in pieces, the end does not always know the whole.
        received[event["requestId"]] = max(received[event["requestId"]], event["encodedDataLength"])

    devtools.on("Network.requestWillBeSent", ask)
    devtools.on("Network.dataReceived", count)
    devtools.on("Network.loadingFinished", finish)
    keep(page)
    sizes: dict[str, int] = defaultdict(int)
    for request, size in received.items():
        sizes[paths[request]] += int(size)
    return sizes


def answers(page: Page, rounds: int) -> list[tuple[float, float]]:
    """Return the seconds from choosing the photo to its answer, once the worker is warm.

    Each with the processor time of all of the browser's processes, which other programs on a busy
    machine do not lengthen as they do the time by the clock.
    """
    photo = encoded(draw_nevus(4).resize(TWELVE_MEGAPIXELS), "JPEG", quality=92)
    path = Path(f"/tmp/lentigo-photo-{os.getpid()}.jpg")  # noqa: S108 - a file for a file chooser
    path.write_bytes(photo)
    try:
        return [_answer(page, path) for _ in range(rounds + 1)][1:]
    finally:
        path.unlink()


def _answer(page: Page, path: Path) -> tuple[float, float]:
    processor, started = processor_time(), time.perf_counter()
    page.locator("#choose").set_input_files(path)
    page.get_by_role("button", name="Predict", exact=True).click()
    page.locator(".result h2, .withheld h2").wait_for()
    taken = time.perf_counter() - started, processor_time() - processor
    page.get_by_role("button", name="Remove", exact=True).click()
    return taken


def report(name: str, taken: list[tuple[float, float]]) -> None:
    """Print medians and ranges."""
    columns = zip(*taken, strict=True)
    for what, seconds in zip(("by the clock", "of processor time"), columns, strict=True):
        print(
            f"{name}: median {statistics.median(seconds):.2f} s {what} (n = {len(seconds)}, "
            f"{min(seconds):.2f} to {max(seconds):.2f} s)"
        )


def processor_time() -> float:
    """Return the seconds that the browser's processes have computed so far."""
    ticks = 0
    for process in browser_processes(os.getpid()):
        try:
            stat = Path(f"/proc/{process}/stat").read_text()
        except OSError:
            continue
        user, system = stat.rpartition(")")[2].split()[11:13]
        ticks += int(user) + int(system)
    return ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def slowed() -> Iterator[None]:
    """Let the browser's processes run for a sixth of the time."""
    done = threading.Event()

    def run() -> None:
        while not done.is_set():
            _send(signal.SIGSTOP)
            time.sleep(SLICE_S * (SLOWER - 1))
            _send(signal.SIGCONT)
            time.sleep(SLICE_S)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _send(number: int) -> None:
    for process in browser_processes(os.getpid()):
        try:
            os.kill(process, number)
        except ProcessLookupError:
            continue


def browser_processes(parent: int) -> list[int]:
    """Return the processes of Chromium below one process."""
    children: dict[int, list[int]] = {}
    names: dict[int, str] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            head, _, rest = (folder / "stat").read_text().rpartition(")")
        except OSError:
            continue
        names[int(folder.name)] = head.partition("(")[2]
        children.setdefault(int(rest.split()[1]), []).append(int(folder.name))
    found: list[int] = []
    below = list(children.get(parent, []))
    while below:
        process = below.pop()
        below += children.get(process, [])
        if names[process].startswith("chrom"):
            found.append(process)
    return found


def measure_memory(browser: Browser, page: Page) -> None:
    """Print the memory of the tab's process after few and after many images in its list.

    The images are files on the disk, as those that a person chooses.
    """
    sizes: dict[int, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, f"{n}.jpg") for n in range(MANY)]
        for number, each in enumerate(files):
            each.write_bytes(nevus_jpeg(number % 40))
        for before, count in ((0, FEW), (FEW, MANY)):
            page.locator("#choose").set_input_files(files[before:count])
            page.locator(f".item >> nth={count - 1}").wait_for(state="attached")
            button(page, "Predict all").click()
            # The overview is shown then, and the row of images is not.
            page.locator(f".item.done >> nth={count - 1}").wait_for(state="attached")
            sizes[count] = memory_of(browser, page)
            print(f"memory after {count} images: {sizes[count] / 2**20:,.0f} MiB")
    print(f"memory: {sizes[MANY] / sizes[FEW]:.2f} times")


def memory_of(browser: Browser, page: Page) -> int:
    """Return the resident bytes of the largest renderer, after collecting garbage."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("HeapProfiler.collectGarbage")
    infos = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
    return max(
        int(Path(f"/proc/{info['id']}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        for info in infos
        if info["type"] == "renderer"
    )


if __name__ == "__main__":
    main()
