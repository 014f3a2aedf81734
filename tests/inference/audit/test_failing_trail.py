"""An audit trail that cannot be written: what is withheld, and what is counted."""

import asyncio
import errno
import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from lentigo_inference.security.api_keys import Scope, add_key, make_key
from lentigo_inference.settings import Settings
from tests.fakes import jpeg_bytes
from tests.inference.audit.feedback import feedback
from tests.inference.audit.trails import Trail
from tests.inference.live_app import PREDICTIONS, problem_of, running
from tests.inference.observability.scraping import scrape

pytestmark = pytest.mark.anyio


def full_disk(patch: pytest.MonkeyPatch) -> None:
    def write(_descriptor: int, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    patch.setattr("lentigo_inference.audit.writer.os.write", write)


async def test_required_an_answer_that_cannot_be_recorded_is_withheld(
    audited: Settings, trail: Trail, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(audited) as service:
        await service.predict()
        with monkeypatch.context() as patch, capture_logs() as lines:
            full_disk(patch)
            refused = await service.predict()
            batch = await service.client.post(
                f"{PREDICTIONS}:batch", files=[("image", jpeg_bytes())]
            )
        recovered = await service.predict()
        seen = await scrape(service.client)
    assert (refused.status_code, batch.status_code, recovered.status_code) == (503, 503, 200)
    assert problem_of(refused)["type"].endswith(":audit-unavailable")
    assert int(refused.headers["Retry-After"]) >= 1
    requests = [line for line in lines if line["event"] == "request"]
    assert [line["problem"] for line in requests] == ["audit-unavailable"] * 2
    assert not any("id" in line or "ids" in line for line in requests)
    (line,) = [line for line in lines if line["event"] == "audit trail not written"]
    assert "No space left" in line["reason"]
    assert len(trail.of_kind("answer")) == 2
    assert seen.value("lentigo_audit_records_total", outcome="failure") == 2
    assert trail.found() == []


async def test_required_a_version_is_not_loaded_unrecorded(
    audited: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry, key = make_key("chief", frozenset({Scope.ADMIN}))
    add_key(tmp_path / "keys.json", entry)
    guarded = audited.model_copy(update={"key_file": tmp_path / "keys.json"})
    async with running(guarded) as service:
        before = service.state.slot.current
        full_disk(monkeypatch)
        response = await service.client.post(
            "/v2/repository/models/lentigo/load", headers={"Authorization": f"Bearer {key}"}
        )
        assert service.state.slot.current is before
    assert response.status_code == 503


async def test_at_best_effort_answers_leave_and_what_is_lost_is_counted(
    at_best_effort: Settings, trail: Trail, monkeypatch: pytest.MonkeyPatch
) -> None:
    with capture_logs() as lines:
        async with running(at_best_effort) as service:
            full_disk(monkeypatch)
            responses = [await service.predict() for _ in range(3)]
            lost = await feedback(service, responses[0].json()["id"])
            # The trail has been closed, and so is done, when the service has ended.
        failed = service.state.metrics.registry.get_sample_value(
            "lentigo_audit_records_total", {"outcome": "failure"}
        )
    assert [response.status_code for response in responses] == [200, 200, 200]
    assert lost.status_code == 404
    assert failed is not None
    assert failed >= 3
    warned = [line for line in lines if line["event"] == "audit trail not written"]
    assert len(warned) == 1
    assert warned[0]["consequence"] == "answers leave unrecorded"
    assert trail.of_kind("answer") == []


async def test_at_best_effort_what_can_be_recorded_is(
    at_best_effort: Settings, trail: Trail
) -> None:
    async with running(at_best_effort) as service:
        answers = [(await service.predict()).json()["id"] for _ in range(3)]
    assert [each["id"] for each in trail.of_kind("answer")] == answers
    assert trail.found() == []


async def test_a_disk_that_hangs_holds_up_no_answer_beyond_the_time_limit(
    audited: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurried = audited.model_copy(update={"request_timeout_s": 2})
    asked, release = asyncio.Event(), asyncio.Event()
    async with running(hurried) as service:
        loop = asyncio.get_running_loop()

        def hang(_descriptor: int) -> None:
            loop.call_soon_threadsafe(asked.set)
            asyncio.run_coroutine_threadsafe(release.wait(), loop).result()

        await service.predict()
        monkeypatch.setattr("lentigo_inference.audit.writer.os.fdatasync", hang)
        response = await service.predict()
        assert asked.is_set()
        release.set()
    assert response.status_code == 503
    # On a busy machine the time limit may have passed before.
    assert problem_of(response)["type"].rpartition(":")[2] in {
        "audit-unavailable",
        "deadline-exceeded",
    }
