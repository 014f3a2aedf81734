"""The result objects of an instance."""

import base64
import binascii
from collections.abc import Callable, Sequence

from pydicom import Dataset

from lentigo_gateway.answers import Answer
from lentigo_gateway.dicom_results import secondary_capture, structured_report
from lentigo_gateway.uids import UidMaker

ResultMaker = Callable[[Dataset, Sequence[Answer], UidMaker], list[Dataset]]
"""Returns the results of an instance; the same arguments give the same objects."""


def report_and_capture(image: Dataset, answers: Sequence[Answer], uids: UidMaker) -> list[Dataset]:
    """Return the structured report, and a Secondary Capture for each answer that has a map."""
    results = report_alone(image, answers, uids)
    for answer in answers:
        png = map_png(answer)
        if png is not None:
            made = secondary_capture(image, answer, png, made_at=answer.received_at, uids=uids)
            results.append(made)
    return results


def report_alone(image: Dataset, answers: Sequence[Answer], uids: UidMaker) -> list[Dataset]:
    """Return the structured report."""
    # Not the time of now: a report that is made again is the same.
    made_at = max(answer.received_at for answer in answers)
    return [structured_report(image, answers, made_at=made_at, uids=uids)]


def map_png(answer: Answer) -> bytes | None:
    """Return the map of the diagnosis as PNG; None if the answer has none."""
    found = answer.prediction.get("activation_map")
    if not isinstance(found, dict) or not isinstance(found.get("data"), str):
        return None
    try:
        return base64.b64decode(found["data"], validate=True)
    except (binascii.Error, ValueError):
        return None
