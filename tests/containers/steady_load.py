"""A steady stream of predictions, and what became of each."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final

import httpx

from tests.containers.watching import DEADLINE_S
from tests.fakes import jpeg_bytes

REQUESTS_PER_S: Final = 20


class Answers:
    """The outcome of every request: a version's number, or what went wrong.

    Attributes:
        counts: how often each outcome came.
        retried: requests for which the balancer asked more than one replica.
        slowest_s: the longest that a request took.
    """

    def __init__(self) -> None:
        self._more = threading.Condition()
        self.counts: Counter[str] = Counter()
        self.retried = 0
        self.slowest_s = 0.0

    def add(self, outcome: str, *, retried: bool = False, seconds: float = 0.0) -> None:
        with self._more:
            self.counts[outcome] += 1
            self.retried += retried
            self.slowest_s = max(self.slowest_s, seconds)
            self._more.notify_all()

    def wait_for(self, outcome: str, count: int) -> None:
        """Wait until there were so many of an outcome."""
        with self._more:
            reached = self._more.wait_for(lambda: self.counts[outcome] >= count, DEADLINE_S)
        assert reached, f"not {count} of {outcome}: {self.counts}"


@contextmanager
def steady_load(url: str) -> Iterator[Answers]:
    """Ask twenty times a second for as long as the context lasts, whatever the answers take."""
    answers, over = Answers(), threading.Event()
    image = jpeg_bytes()

    def ask(client: httpx.Client) -> None:
        try:
            response = client.post("/v1/predictions", files={"image": image})
        except httpx.HTTPError as error:
            answers.add(type(error).__name__)
        else:
            succeeded = response.status_code == 200
            answers.add(
                response.json()["model"]["version"] if succeeded else response.text,
                # Of a balancer that tells: whom it asked, with commas between them.
                retried="," in response.headers.get("X-Upstream", ""),
                seconds=response.elapsed.total_seconds(),
            )

    def ask_steadily() -> None:
        with httpx.Client(base_url=url, timeout=60) as client, ThreadPoolExecutor(64) as threads:
            asked: list[Future[None]] = []
            next_at = time.monotonic()
            while not over.wait(max(0.0, next_at - time.monotonic())):
                asked.append(threads.submit(ask, client))
                next_at += 1 / REQUESTS_PER_S
            for request in asked:
                request.result()

    asking = threading.Thread(target=ask_steadily)
    asking.start()
    try:
        yield answers
    finally:
        over.set()
        asking.join()
