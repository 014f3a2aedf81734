"""Kill gateway, archive and service while instances arrive, and account for every one of them.

What counts is what lies in the archive afterwards: which image each result refers to, and which
numbers it has. How the gateway names its results, and what it believes to have done, play no part.
"""

import io
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import httpx
from pydicom import Dataset, dcmread

from benchmarks.gateway_bench import CAPTURE, SR, STUDY, Bench, log_of, positions, states
from tests.gateway.dicom import DERMOSCOPIC
from tests.gateway.dicom_results.standard import numbers
from tests.gateway.orthanc.archive import until

# So many instances are in the archive before their answers are, and arrive during every kill.
AHEAD: Final = 30
# A kill comes at any moment of an instance, which takes a third of this.
LATEST_S: Final = 0.5
# Without a change in the work list, nothing more will come.
STALLED_S: Final = 300.0
LOOK_S: Final = 0.05
# The same picture in another batch: sums in another order, amplified by a softmax.
TOLERANCE: Final = 2e-3


class Sender(threading.Thread):
    """Stores instances, each until the archive says that it has it."""

    def __init__(self, bench: Bench, instances: int) -> None:
        super().__init__(name="sender", daemon=True)
        self._bench = bench
        self._instances = instances
        self.acknowledged = 0

    def run(self) -> None:
        """Store them, in their order."""
        for number in range(self._instances):
            data = self._bench.image(number)
            while self.acknowledged - states(self._bench).get("done", 0) >= AHEAD:
                time.sleep(LOOK_S)
            while not self._is_stored(data):
                time.sleep(LOOK_S)
            self.acknowledged += 1

    def _is_stored(self, data: bytes) -> bool:
        try:
            self._bench.archive.store(data)
        except httpx.HTTPError:
            return False
        return True


def kills(bench: Bench, instances: int, number_of_kills: int, seed: int) -> dict[str, Any]:
    """Kill at random moments, evenly over the work; return what became of every instance."""
    expected = expected_numbers(bench)
    chooser = random.Random(seed)
    restarts: list[tuple[str, Callable[[], None]]] = [
        ("gateway", bench.restart_gateway),
        ("archive", bench.restart_archive),
        ("service", bench.restart_service),
    ]
    killed: Counter[str] = Counter()
    amid: Counter[str] = Counter()
    began = time.monotonic()
    bench.start_gateway()
    until(lambda: "gateway starts" in log_of(bench), "the gateway has started")
    sender = Sender(bench, instances)
    sender.start()
    for place in range(number_of_kills):
        wanted = (place + 1) * instances // (number_of_kills + 1)
        if not comes(bench, partial(is_done, bench, wanted)):
            break
        time.sleep(chooser.uniform(0, LATEST_S))
        name, restart = restarts[place % len(restarts)]
        found = states(bench)
        amid["open entries"] += bool(found.get("waiting", 0) + found.get("answered", 0))
        amid["work"] += bool(bench.working())
        amid["delivery"] += bool(found.get("answered", 0))
        restart()
        killed[name] += 1
        sys.stderr.write(f"{place + 1} of {number_of_kills}: {name}, {states(bench)}\n")
    finished = comes(bench, lambda: not sender.is_alive() and is_quiet(bench, instances))
    # What is done must not be done again by the next one.
    bench.restart_gateway()
    finished = comes(bench, lambda: is_quiet(bench, instances)) and finished
    accounts = account(bench, sender.acknowledged, expected)
    return {
        "instances": instances,
        "acknowledged": sender.acknowledged,
        "finished": finished,
        "minutes": round((time.monotonic() - began) / 60, 1),
        "killed": dict(killed),
        "kills_amid": dict(amid),
        "answers_of_the_service": bench.answers() - len(expected),
        "states": states(bench),
        **accounts,
        "wrong": not finished or any(accounts.values()),
    }


def is_done(bench: Bench, wanted: int) -> bool:
    """Return whether so many instances are done."""
    return states(bench).get("done", 0) >= wanted


def comes(bench: Bench, condition: Callable[[], bool]) -> bool:
    """Wait for a condition; return whether it came before the work list stood still."""
    known, since = states(bench), time.monotonic()
    while not condition():
        if (now := states(bench)) != known:
            known, since = now, time.monotonic()
        if time.monotonic() - since > STALLED_S:
            return False
        time.sleep(LOOK_S)
    return True


def is_quiet(bench: Bench, instances: int) -> bool:
    """Return whether the feed is read to its end, and nothing is left to do."""
    found = states(bench)
    if found.get("waiting", 0) or found.get("answered", 0) or sum(found.values()) < instances:
        return False
    try:
        last = bench.archive.client.get("/changes?last").json()["Last"]
    except httpx.HTTPError:
        return False
    return positions(bench).get("orthanc") == int(last)


def account(bench: Bench, acknowledged: int, expected: list[Mapping[str, float]]) -> dict[str, int]:
    """Return how much is missing, there more than once, or not as it should be.

    Args:
        bench: the archive is asked for all that it has.
        acknowledged: instances that it said to have stored: the first so many.
        expected: numbers of the report on each image that was drawn.
    """
    sent = [f"{STUDY}.3.{number}" for number in range(acknowledged)]
    archived = {str(each.SOPInstanceUID) for each in instances_of(bench, DERMOSCOPIC)}
    reports: Counter[str] = Counter()
    others = 0
    for report in instances_of(bench, SR):
        uid = reported_image(report)
        reports[uid] += 1
        number = int(uid.rpartition(".")[2])
        others += not are_equal(numbers(report), expected[number % len(expected)])
    pictures = Counter(
        str(each.SourceImageSequence[0].ReferencedSOPInstanceUID)
        for each in instances_of(bench, CAPTURE)
    )
    return {
        "lost_by_the_archive": sum(uid not in archived for uid in sent),
        "without_a_report": sum(not reports[uid] for uid in sent),
        "without_a_picture": sum(not pictures[uid] for uid in sent),
        "reports_too_many": reports.total() - len(reports & Counter(sent)),
        "pictures_too_many": pictures.total() - len(pictures & Counter(sent)),
        "reports_with_other_numbers": others,
    }


def instances_of(bench: Bench, sop_class: str) -> list[Dataset]:
    """Return the headers of all instances of a class that the archive has."""
    query = {"Level": "Instance", "Query": {"SOPClassUID": sop_class}}
    client = bench.archive.client
    return [
        dcmread(
            io.BytesIO(client.get(f"/instances/{each}/file").raise_for_status().content),
            stop_before_pixels=True,
        )
        for each in client.post("/tools/find", json=query).raise_for_status().json()
    ]


def reported_image(report: Dataset) -> str:
    """Return the UID of the image that a report is about."""
    (study,) = report.CurrentRequestedProcedureEvidenceSequence
    (series,) = study.ReferencedSeriesSequence
    (image,) = series.ReferencedSOPSequence
    return str(image.ReferencedSOPInstanceUID)


def expected_numbers(bench: Bench) -> list[Mapping[str, float]]:
    """Return what a report on each drawn image should say, by asking the service for it."""
    found: list[Mapping[str, float]] = []
    for jpeg in bench.jpegs:
        response = bench.service.client.post(
            "/v1/predictions", content=jpeg, headers={"Content-Type": "image/jpeg"}
        )
        answer = response.raise_for_status().json()
        expected = {
            f"probability-{each['code']}": each["probability"] for each in answer["probabilities"]
        }
        malignancy = answer["malignancy"]
        if malignancy["probability"] is not None:
            expected["probability-malignant"] = malignancy["probability"]
        found.append(expected | {"referral-threshold": malignancy["threshold"]})
    return found


def are_equal(said: Mapping[str, float], expected: Mapping[str, float]) -> bool:
    return said.keys() == expected.keys() and all(
        abs(said[name] - expected[name]) <= TOLERANCE for name in expected
    )
