"""Count how the page's own answers differ from the service's, over files of every format.

    .venv/bin/python -m benchmarks.on_device.offline_parity --cases 2000

The cases are drawn by `tests.golden_cases` from a seed. Both sides get the same files: the service
by REST with the float32 engine, the page in headless Chromium with what it keeps for answering by
itself. Every answer is forced, so that images which cannot be assessed are compared too.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.e2e.page.conftest import ARGUMENTS, SHIPPED
from tests.e2e.service_process import service_process
from tests.golden_cases import GoldenCase, golden_case
from tests.offline_parity import MAX_DIFFERENCE, Parity, compare_all, keep_offline

# A page that has held thousands of images is opened again, as a person does.
CASES_A_PAGE = 250


def main() -> None:
    """Ask both sides, and print the table and what differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kept", type=Path, help="file of results, which a later run goes on from")
    options = parser.parse_args()
    found = read_kept(options.kept)
    for each in parities(options.seed, range(len(found), options.cases)):
        found.append(each)
        if options.kept is not None:
            with options.kept.open("a") as file:
                file.write(json.dumps(asdict(each)) + "\n")
    print(table(found))
    for each in found:
        if not each.same or each.difference > MAX_DIFFERENCE:
            print(f"{each.case}: {each.difference:.1e} {'; '.join(each.notes)}")


def read_kept(path: Path | None) -> list[Parity]:
    """Return the results of an earlier run, the first cases in their order."""
    if path is None or not path.exists():
        return []
    return [Parity(**json.loads(line)) for line in path.read_text().splitlines()]


def parities(seed: int, numbers: range) -> Iterator[Parity]:
    """Run the service and the browser, and compare the cases of these numbers."""
    with (
        service_process(SHIPPED, LENTIGO_ENGINE="litert") as service,
        sync_playwright() as playwright,
    ):
        service.logged("model in use")
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        for start in range(numbers.start, numbers.stop, CASES_A_PAGE):
            page = browser.new_page()
            page.goto(service.url)
            page.locator("body.loaded").wait_for()
            keep_offline(page)
            these = range(start, min(start + CASES_A_PAGE, numbers.stop))
            yield from compare_all(drawn(seed, these), service.client, page)
            page.close()
        browser.close()


def drawn(seed: int, numbers: range) -> Iterator[GoldenCase]:
    """Draw cases one by one, so that only one is in memory."""
    for number in numbers:
        yield golden_case(seed, number)


def table(found: list[Parity]) -> str:
    """Return the counts by sort, as Markdown."""
    by_sort: dict[str, list[Parity]] = defaultdict(list)
    for each in found:
        by_sort[each.sort].append(each)
    lines = [
        "| Files | n | Same | Only the service | Largest difference | Of a map, of 255 |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, rows in [*by_sort.items(), ("all", found)]:
        compared = [each for each in rows if not each.only_service]
        lines.append(
            f"| {name} | {len(rows)} | {sum(each.same for each in compared)} of {len(compared)} | "
            f"{len(rows) - len(compared)} | {max((e.difference for e in compared), default=0):.1e} "
            f"| {max((each.map_difference for each in compared), default=0)} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
