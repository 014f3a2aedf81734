"""A service with an audit trail: what is on record, and what happens if it cannot be."""

import asyncio
import errno
import hashlib
import json
import os
import shutil
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from PIL import Image
from structlog.testing import capture_logs

from lentigo_contract.labels import CODES
from lentigo_contract.repository.layout import MANIFEST_NAME
from lentigo_contract.repository.store import ModelStore
from lentigo_inference.audit.folder import series_folders
from lentigo_inference.observability.identifiers import uuid7
from lentigo_inference.security.api_keys import Scope, add_key, make_key
from lentigo_inference.settings import Settings
from tests.fakes import jpeg_bytes, lesion_image
from tests.images import encoded
from tests.inference.audit.trails import Trail
from tests.inference.live_app import PREDICTIONS, Running, problem_of, running
from tests.inference.observability.scraping import scrape
from tests.models import publish_plain

pytestmark = pytest.mark.anyio

SAID = {"diagnosis": "mel", "confirmed_by": "histopathology"}


@pytest.fixture
def audited(settings: Settings, store: ModelStore, trail: Trail) -> Settings:
    publish_plain(store, 1)
    return settings.model_copy(update={"audit_dir": trail.folder, "audit_key": trail.key})


@pytest.fixture
def at_best_effort(audited: Settings) -> Settings:
    return audited.model_copy(update={"audit": "best-effort"})


def of_kind(trail: Trail, kind: str) -> list[dict[str, Any]]:
    return [record for record in trail.records_of_whole_lines() if record["kind"] == kind]


async def feedback(service: Running, answer_id: object, **given: str) -> Any:
    return await service.client.post(f"{PREDICTIONS}/{answer_id}/feedback", json=given or SAID)


async def test_an_answer_is_on_record_before_it_leaves(
    audited: Settings, store: ModelStore, trail: Trail
) -> None:
    image = jpeg_bytes()
    async with running(audited) as service:
        response = await service.predict(image, {"X-Request-ID": "r-1"})
        answer = response.json()
        (record,) = of_kind(trail, "answer")
    manifest = (store.folder / "1" / MANIFEST_NAME).read_bytes()
    by_code = {each["code"]: each["probability"] for each in answer["probabilities"]}
    assert list(record["probabilities"]) == list(CODES)
    assert {key: value for key, value in record.items() if key not in {"seq", "prev", "time"}} == {
        "kind": "answer",
        "id": answer["id"],
        "request_id": "r-1",
        "key": None,
        "client": "127.0.0.1",
        "image_sha256": hashlib.sha256(image).hexdigest(),
        "diagnosis": answer["diagnosis"]["code"],
        "probabilities": by_code,
        "malignancy": answer["malignancy"]["probability"],
        "threshold": answer["malignancy"]["threshold"],
        "refer": answer["malignancy"]["refer"],
        "reasons": answer["malignancy"]["reasons"],
        "quality": [],
        "model": "lentigo",
        "version": 1,
        "manifest_sha256": hashlib.sha256(manifest).hexdigest(),
        "engine": "plain",
        "settings": {"decided_by": "probable", "prevalence_source": None, "force": False},
    }
    assert trail.found() == []


async def test_the_log_has_the_heads_that_verify_can_be_asked_for(
    audited: Settings, trail: Trail
) -> None:
    with capture_logs() as lines:
        async with running(audited) as service:
            await service.predict()
    begun, closed = [line for line in lines if line["event"].startswith("audit file")]
    assert (begun["event"], begun["log_level"]) == ("audit file begun", "info")
    assert closed["event"] == "audit file closed"
    (report,) = trail.verify(closed["head"])
    assert (report.head.digest, report.head.seq) == (closed["head"], closed["seq"])
    assert trail.verified.sound


async def test_behind_a_proxy_the_address_on_record_is_that_of_its_client(
    audited: Settings, trail: Trail
) -> None:
    behind = audited.model_copy(update={"trusted_proxies": (ip_network("127.0.0.1"),)})
    async with running(behind) as service:
        await service.predict(headers={"X-Forwarded-For": "192.0.2.9, 198.51.100.7"})
    (record,) = of_kind(trail, "answer")
    assert record["client"] == "198.51.100.7"


async def test_the_prevalence_of_a_clinic_is_on_record_with_its_shares(
    audited: Settings, store: ModelStore, trail: Trail, tmp_path: Path
) -> None:
    declared, clinic = (
        dict(zip(CODES, shares, strict=True))
        for shares in ((0.03, 0.05, 0.11, 0.01, 0.11, 0.67, 0.02), (*[0.1] * 6, 0.4))
    )
    file = tmp_path / "clinic.toml"
    file.write_text("".join(f"{code} = {share}\n" for code, share in clinic.items()))
    publish_plain(store, 2, prevalence=declared)
    async with running(audited.model_copy(update={"prevalence": file})) as service:
        await service.predict()
    (record,) = of_kind(trail, "answer")
    assert record["settings"]["prevalence_source"] == "clinic"
    assert record["settings"]["prevalence"] == pytest.approx(clinic)


async def test_no_image_no_file_name_and_no_exif_is_kept(audited: Settings, trail: Trail) -> None:
    exif = b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00Jane Doe"
    image = encoded(lesion_image(1), "JPEG", exif=exif)
    async with running(audited) as service:
        response = await service.client.post(
            PREDICTIONS, files={"image": ("jane-doe.jpg", image)}, params={"patient": "jane"}
        )
        assert response.status_code in {200, 400}
        await service.predict(image)
    kept = b"".join(path.read_bytes() for path in trail.files())
    assert b"jane" not in kept.lower()
    assert max(map(len, kept.splitlines())) < 2000


async def test_an_image_that_cannot_be_judged_is_on_record_too(
    audited: Settings, trail: Trail
) -> None:
    blank = encoded(Image.new("RGB", (300, 225), (226, 178, 160)), "PNG")
    async with running(audited) as service:
        assert (await service.predict(b"")).status_code == 400
        await service.predict(blank)
        await service.predict(blank, force="true")
    withheld, forced = of_kind(trail, "answer")
    assert (withheld["quality"], withheld["refer"]) == (["blank"], True)
    assert (withheld["diagnosis"], withheld["probabilities"]) == (None, {})
    assert len(forced["probabilities"]) == 7
    assert forced["settings"]["force"] is True


async def test_every_image_of_a_batch_is_on_record_and_errors_are_not(
    audited: Settings, trail: Trail
) -> None:
    parts = [("image", jpeg_bytes(lesion_image(seed))) for seed in range(3)]
    async with running(audited) as service:
        response = await service.client.post(
            f"{PREDICTIONS}:batch", files=[parts[0], ("image", b"x"), *parts[1:]]
        )
    results = response.json()["results"]
    assert [each["id"] for each in of_kind(trail, "answer")] == [
        each["id"] for each in results if "id" in each
    ]
    assert len(results) == 4


async def test_tensors_are_on_record_by_the_digest_of_their_pixels(
    audited: Settings, trail: Trail
) -> None:
    pixels = [bytes([value]) * (224 * 224 * 3) for value in (3, 250)]
    tensor = {
        "name": "image",
        "datatype": "UINT8",
        "shape": [2, 224, 224, 3],
        "parameters": {"binary_data_size": len(b"".join(pixels))},
    }
    head = json.dumps({"inputs": [tensor]}).encode()
    async with running(audited) as service:
        response = await service.client.post(
            "/v2/models/lentigo/infer",
            content=head + b"".join(pixels),
            headers={"Inference-Header-Content-Length": str(len(head))},
        )
    assert response.status_code == 200
    (record,) = of_kind(trail, "inference")
    assert [each["pixels_sha256"] for each in record["images"]] == [
        hashlib.sha256(each).hexdigest() for each in pixels
    ]
    (said,) = [
        output["data"] for output in response.json()["outputs"] if output["name"] == "probabilities"
    ]
    assert [value for each in record["images"] for value in each["probabilities"]] == said


async def test_acts_of_administration_are_on_record(
    audited: Settings, trail: Trail, tmp_path: Path
) -> None:
    entry, key = make_key("chief", frozenset({Scope.ADMIN}))
    add_key(tmp_path / "keys.json", entry)
    guarded = audited.model_copy(update={"key_file": tmp_path / "keys.json"})
    headers = {"Authorization": f"Bearer {key}", "X-Request-ID": "r-2"}
    at = "/v2/repository/models/lentigo"
    async with running(guarded) as service:
        loading = {"parameters": {"version": "1"}}
        assert (await service.client.post(f"{at}/load", json=loading)).status_code == 401
        response = await service.client.post(f"{at}/load", json=loading, headers=headers)
        assert response.status_code == 200
        assert (await service.client.post(f"{at}/unload", headers=headers)).status_code == 409
    acts = of_kind(trail, "administration")
    assert [(each["act"], each["version"], each.get("key")) for each in acts] == [
        ("loaded", 1, None),
        ("load", 1, "chief"),
        ("loaded", 1, None),
        ("unload", None, "chief"),
    ]
    assert acts[1]["request_id"] == "r-2"


async def test_a_version_that_was_refused_is_on_record(
    audited: Settings, store: ModelStore, trail: Trail
) -> None:
    (store.folder / "1" / "seed.txt").write_text("changed")
    async with running(audited):
        pass
    (act,) = of_kind(trail, "administration")
    assert (act["act"], act["version"]) == ("refused", 1)


async def test_many_answers_share_a_write(audited: Settings, trail: Trail) -> None:
    async with running(audited) as service:
        responses = await asyncio.gather(*(service.predict() for _ in range(20)))
        seen = await scrape(service.client)
    assert {response.status_code for response in responses} == {200}
    assert len(of_kind(trail, "answer")) == 20
    # The loading of the version is a record, too.
    assert seen.value("lentigo_audit_records_total", outcome="success") == 21
    assert 1 <= seen.value("lentigo_audit_write_seconds_count") <= 21


async def test_without_a_trail_nothing_is_written(
    settings: Settings, store: ModelStore, trail: Trail
) -> None:
    publish_plain(store, 1)
    async with running(settings) as service:
        answer = (await service.predict()).json()
        problem = problem_of(await feedback(service, answer["id"]))
    assert problem["type"].endswith(":unknown-answer")
    assert "LENTIGO_AUDIT_DIR" in problem["detail"]
    assert series_folders(trail.folder) == []


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
    assert len(of_kind(trail, "answer")) == 2
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
    assert of_kind(trail, "answer") == []


async def test_at_best_effort_what_can_be_recorded_is(
    at_best_effort: Settings, trail: Trail
) -> None:
    async with running(at_best_effort) as service:
        answers = [(await service.predict()).json()["id"] for _ in range(3)]
    assert [each["id"] for each in of_kind(trail, "answer")] == answers
    assert trail.found() == []


async def test_a_disk_that_hangs_holds_up_no_answer_beyond_the_time_limit(
    audited: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurried = audited.model_copy(update={"request_timeout_s": 0.5})
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
    (record,) = of_kind(trail, "feedback")
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
    (record,) = of_kind(trail, "feedback")
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
    assert of_kind(trail, "feedback") == []


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
