"""A service with an audit trail: what is on record."""

import asyncio
import hashlib
import json
from ipaddress import ip_network
from pathlib import Path

import pytest
from PIL import Image
from structlog.testing import capture_logs

from lentigo_contract.labels import CODES
from lentigo_contract.repository.layout import MANIFEST_NAME
from lentigo_contract.repository.store import ModelStore
from lentigo_inference.audit.folder import series_folders
from lentigo_inference.security.api_keys import Scope, add_key, make_key
from lentigo_inference.settings import Settings
from tests.fakes import jpeg_bytes, lesion_image
from tests.images import encoded
from tests.inference.audit.feedback import feedback
from tests.inference.audit.trails import Trail
from tests.inference.live_app import PREDICTIONS, problem_of, running
from tests.inference.observability.scraping import scrape
from tests.models import publish_plain

pytestmark = pytest.mark.anyio


async def test_an_answer_is_on_record_before_it_leaves(
    audited: Settings, store: ModelStore, trail: Trail
) -> None:
    image = jpeg_bytes()
    async with running(audited) as service:
        response = await service.predict(image, {"X-Request-ID": "r-1"})
        answer = response.json()
        (record,) = trail.of_kind("answer")
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
    (record,) = trail.of_kind("answer")
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
    (record,) = trail.of_kind("answer")
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
    withheld, forced = trail.of_kind("answer")
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
    assert [each["id"] for each in trail.of_kind("answer")] == [
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
    (record,) = trail.of_kind("inference")
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
    acts = trail.of_kind("administration")
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
    (act,) = trail.of_kind("administration")
    assert (act["act"], act["version"]) == ("refused", 1)


async def test_many_answers_share_a_write(audited: Settings, trail: Trail) -> None:
    async with running(audited) as service:
        responses = await asyncio.gather(*(service.predict() for _ in range(20)))
        seen = await scrape(service.client)
    assert {response.status_code for response in responses} == {200}
    assert len(trail.of_kind("answer")) == 20
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
