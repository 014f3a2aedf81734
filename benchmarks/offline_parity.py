"""Count how the page's own answers differ from the service's, over images of every format and defect.

    .venv/bin/python -m benchmarks.offline_parity --cases 2000

The cases are drawn by `tests.golden_cases` from a seed. Both sides get the same files: the service
by REST with the float32 engine, the page in headless Chromium with what it keeps for answering by
itself. Every answer is forced, so that images which cannot be assessed are compared too.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator

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
    options = parser.parse_args()
    found = list(parities(options.seed, options.cases))
    print(table(found))
    for each in found:
        if not each.same or each.difference > MAX_DIFFERENCE:
            print(f"{each.case}: {each.difference:.1e} {'; '.join(each.notes)}")


def parities(seed: int, cases: int) -> Iterator[Parity]:
    """Run the service and the browser, and compare every case."""
    with (
        service_process(SHIPPED, LENTIGO_ENGINE="litert") as service,
        sync_playwright() as playwright,
    ):
        service.logged("model in use")
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        for start in range(0, cases, CASES_A_PAGE):
            page = browser.new_page()
            page.goto(service.url)
            page.locator("body.loaded").wait_for()
            keep_offline(page)
            numbers = range(start, min(start + CASES_A_PAGE, cases))
            yield from compare_all(drawn(seed, numbers), service.client, page)
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
