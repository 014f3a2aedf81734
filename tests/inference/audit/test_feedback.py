"""Feedback on an answer: what is on record, and what is refused."""

import asyncio
import hashlib
import shutil
from pathlib import Path
from uuid import uuid4

import pytest

from lentigo_contract.repository.store import ModelStore
from lentigo_inference.observability.identifiers import uuid7
from lentigo_inference.security.api_keys import Scope, add_key, make_key
from lentigo_inference.settings import Settings
from tests.fakes import jpeg_bytes
from tests.inference.audit.feedback import SAID, feedback
from tests.inference.audit.trails import Trail
from tests.inference.live_app import PREDICTIONS, problem_of, running
from tests.models import publish_plain

pytestmark = pytest.mark.anyio


async def test_feedback_is_on_record_with_what_was_said(audited: Settings, trail: Trail) -> None:
    image = jpeg_bytes()
    async with running(audited) as service:
        answer = (await service.predict(image)).json()
        response = await feedback(service, answer["id"], **SAID)
    assert response.status_code == 200
    given = response.json()
    assert given == {
        "id": given["id"],
        "prediction": answer["id"],
        "said": answer["diagnosis"]["code"],
        **SAID,
        "notice": "Research use only. Not a medical device.",
    }
    (record,) = trail.of_kind("feedback")
    assert (record["id"], record["answer"]) == (given["id"], answer["id"])
    assert record["image_sha256"] == hashlib.sha256(image).hexdigest()
    assert (record["diagnosis"], record["said"]) == ("mel", answer["diagnosis"]["code"])


async def test_feedback_may_go_to_another_instance_and_to_a_later_one(
    audited: Settings, trail: Trail
) -> None:
    async with running(audited) as first, running(audited) as second:
        answer = (await first.predict()).json()
        assert (await feedback(second, answer["id"])).status_code == 200
    async with running(audited) as later:
        assert (await feedback(later, answer["id"])).status_code == 200
    assert len(list(trail.folder.iterdir())) == 2
    assert trail.found() == []


async def test_feedback_outlives_the_version_that_answered(
    audited: Settings, store: ModelStore, trail: Trail
) -> None:
    async with running(audited) as first:
        answer = (await first.predict()).json()
    await asyncio.to_thread(shutil.rmtree, store.folder / "1")
    publish_plain(store, 2)
    async with running(audited) as later:
        given = (await feedback(later, answer["id"])).json()
    (record,) = trail.of_kind("feedback")
    assert (given["said"], record["version"]) == (answer["diagnosis"]["code"], 1)
    assert record["manifest_sha256"] == answer["model"]["digest"]


@pytest.mark.parametrize(
    "answer_id",
    [str(uuid7()), str(uuid4()), str(uuid7(0))],
    ids=["never given", "of another kind", "of long ago"],
)
async def test_feedback_on_an_unknown_answer_is_404(audited: Settings, answer_id: str) -> None:
    async with running(audited) as service:
        await service.predict()
        problem = problem_of(await feedback(service, answer_id))
    assert (problem["status"], problem["type"]) == (404, "urn:lentigo:problem:unknown-answer")


async def test_the_id_of_feedback_is_no_answer(audited: Settings) -> None:
    async with running(audited) as service:
        answer = (await service.predict()).json()
        given = (await feedback(service, answer["id"])).json()
        assert (await feedback(service, given["id"])).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"diagnosis": "mel"},
        {"diagnosis": "melanoma", "confirmed_by": "histopathology"},
        {"diagnosis": "mel", "confirmed_by": "feeling"},
        {**SAID, "comment": "Jane Doe"},
        [],
    ],
)
async def test_feedback_that_is_not_as_expected_is_refused(
    audited: Settings, trail: Trail, body: object
) -> None:
    async with running(audited) as service:
        answer = (await service.predict()).json()
        response = await service.client.post(f"{PREDICTIONS}/{answer['id']}/feedback", json=body)
    assert problem_of(response)["type"].endswith(":malformed-request")
    assert trail.of_kind("feedback") == []


async def test_an_id_that_is_none_is_refused(audited: Settings) -> None:
    async with running(audited) as service:
        problem = problem_of(await feedback(service, "../../etc/passwd%00"))
        assert problem["status"] == 404
        assert problem_of(await feedback(service, "1"))["type"].endswith(":invalid-parameter")


async def test_feedback_needs_its_own_scope(audited: Settings, tmp_path: Path) -> None:
    keys = {}
    for scope in Scope:
        entry, keys[scope] = make_key(scope.value, frozenset({scope}))
        add_key(tmp_path / "keys.json", entry)
    guarded = audited.model_copy(update={"key_file": tmp_path / "keys.json"})
    async with running(guarded) as service:
        predict = {"Authorization": f"Bearer {keys[Scope.PREDICT]}"}
        answer = (await service.predict(headers=predict)).json()
        statuses = {
            scope: (
                await service.client.post(
                    f"{PREDICTIONS}/{answer['id']}/feedback",
                    json=SAID,
                    headers={"Authorization": f"Bearer {key}"},
                )
            ).status_code
            for scope, key in keys.items()
        }
    assert statuses == {each: 200 if each is Scope.FEEDBACK else 403 for each in Scope}


async def test_feedback_is_503_while_the_trail_cannot_be_read(
    audited: Settings, trail: Trail
) -> None:
    async with running(audited) as service:
        answer = (await service.predict()).json()
        trail.folder.rename(trail.folder.with_name("away"))
        response = await feedback(service, answer["id"])
    assert problem_of(response)["type"].endswith(":audit-unavailable")
