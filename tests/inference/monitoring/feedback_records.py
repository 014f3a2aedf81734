"""Feedback, as a trail has it."""

from typing import Any, Final

from lentigo_inference.monitoring.confirmed import Confirmed, confirmed_in

VERSION: Final = "a" * 64


def feedback_record(number: int = 0, **changes: object) -> dict[str, Any]:
    """Give the record of feedback on an image, the later the higher its number."""
    return {
        "seq": number + 1,
        "prev": "0" * 64,
        "time": f"2026-12-01T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}.000Z",
        "kind": "feedback",
        "id": "019b1f70-1c2d-7a10-9b1e-52c1f0a7d3e4",
        "image_sha256": f"{number:064x}",
        "version": 3,
        "manifest_sha256": VERSION,
        "said": "nv",
        "malignancy": 0.125,
        "refer": False,
        "diagnosis": "nv",
        "confirmed_by": "histopathology",
        **changes,
    }


def confirmed(number: int = 0, **changes: object) -> Confirmed:
    """Give what such a record says."""
    found = confirmed_in(feedback_record(number, **changes))
    assert found is not None
    return found
