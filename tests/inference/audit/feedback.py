"""Feedback on an answer, as a clinician's system sends it."""

from typing import Any

from tests.inference.live_app import PREDICTIONS, Running

SAID = {"diagnosis": "mel", "confirmed_by": "histopathology"}


async def feedback(service: Running, answer_id: object, **given: str) -> Any:
    return await service.client.post(f"{PREDICTIONS}/{answer_id}/feedback", json=given or SAID)
