"""What a page gets to answer without the service, and when it gets nothing."""

import hashlib
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest

from lentigo_contract.labels import CODES
from lentigo_contract.manifest.engines import Golden, GoldenAnswer
from lentigo_contract.manifest.manifest import Manifest
from lentigo_contract.manifest.probabilities import MalignancyCalibration, Prevalence
from lentigo_contract.repository.store import ModelStore
from lentigo_inference.api.packed_weights import PIECE_BYTES, pack
from lentigo_inference.settings import Settings
from tests.fakes import made_agreement, made_manifest, made_unlikeness
from tests.inference.audit.trails import made_trail
from tests.inference.live_app import running
from tests.inference.network import listening, unread
from tests.models import publish_plain

pytestmark = pytest.mark.anyio

NETWORK: Final = bytes(range(256)) * 3000
GOLDEN: Final = Golden(
    seed=1,
    answers={"litert": GoldenAnswer(probabilities=((0.1,) * 6 + (0.4,),), tolerance=0.5)},
)
DECLARED: Final[Prevalence] = dict(
    zip(CODES, (0.03, 0.05, 0.11, 0.01, 0.11, 0.67, 0.02), strict=True)
)


def publish(store: ModelStore, **changes: object) -> None:
    """Publish a version that a browser could run, as far as its manifest tells."""

    def fill(folder: Path) -> Manifest:
        (folder / "seed.txt").write_text("1")
        (folder / "litert").mkdir()
        (folder / "litert/float32.tflite").write_bytes(NETWORK)
        fields = {"agreement": {"litert": made_agreement()}, "golden": GOLDEN}
        return made_manifest(**(fields | changes))

    store.publish(fill)


async def offer(settings: Settings) -> dict[str, Any]:
    async with running(settings) as service:
        response = await service.client.get("/v1/offline")
        assert response.status_code == 200
        document: dict[str, Any] = response.json()
        network = await service.client.get("/v1/offline/model")
        assert network.status_code == (404 if document["version"] is None else 200)
        return document


async def test_the_version_is_described_as_the_service_decides(
    settings: Settings, store: ModelStore
) -> None:
    calibration = MalignancyCalibration(slope=0.9, intercept=-0.1, source="code")
    publish(
        store,
        prevalence=DECLARED,
        malignancy_calibration=calibration,
        unlikeness=made_unlikeness(0.25),
    )
    async with running(settings) as service:
        document = (await service.client.get("/v1/offline")).json()
        (model,) = (await service.client.get("/v1/models")).json()["models"]
    version = document["version"]
    assert document["objection"] is None
    assert version["details"] == model
    assert version["model"]["digest"] == model["digest"]
    assert [label["code"] for label in version["labels"]] == list(CODES)
    assert version["rule"] == {
        "thresholds": {"malignancy": 0.3, "abstention": None},
        "declared": list(DECLARED.values()),
        "clinic": None,
        "calibration": {"slope": 0.9, "intercept": -0.1},
        "decided_by": "balanced",
    }
    assert version["unlikeness_limit"] == 0.25
    assert version["golden"]["allowed"]["probability"] == 1e-4
    assert version["limits"]["max_bytes"] == settings.max_upload_bytes


async def test_the_network_is_the_file_that_the_manifest_names(
    settings: Settings, store: ModelStore
) -> None:
    """It is sent as it is: to compress it for each client would take a second of a core."""
    publish(store)
    async with running(settings) as service:
        document = (await service.client.get("/v1/offline")).json()
        response = await service.client.get(
            "/v1/offline/model", headers={"Accept-Encoding": "gzip"}
        )
    assert "content-encoding" not in response.headers
    assert response.headers["cache-control"] == "no-store"
    assert response.content == NETWORK
    file = document["version"]["file"]
    assert file.pop("packed")["path"] == "v1/offline/model?packed=true"
    assert file == {
        "path": "v1/offline/model",
        "bytes": len(NETWORK),
        "sha256": hashlib.sha256(NETWORK).hexdigest(),
    }


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads Linux' /proc")
def test_a_download_that_is_not_taken_keeps_no_file_open(
    settings: Settings, store: ModelStore
) -> None:
    publish(store)
    request = b"GET /v1/offline/model HTTP/1.1\r\nHost: x\r\n\r\n"
    with listening(settings) as service, unread(service, request):
        opened = set()
        for each in Path("/proc/self/fd").iterdir():
            # Other threads open and close some.
            with suppress(OSError):
                opened.add(each.readlink().suffix)
    assert ".tflite" not in opened


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
async def test_the_packed_network_has_the_bytes_that_were_offered(
    settings: Settings, store: ModelStore, encoding: str
) -> None:
    publish(store)
    async with running(settings) as service:
        document = (await service.client.get("/v1/offline")).json()
        offered = document["version"]["file"]["packed"]
        response = await service.client.get(offered["path"], headers={"Accept-Encoding": encoding})
    assert response.headers.get("content-encoding", "identity") == encoding
    starts = range(0, len(NETWORK), PIECE_BYTES)
    pieces = (NETWORK[start : start + PIECE_BYTES] for start in starts)
    assert response.content == b"".join(pack(pieces))
    assert len(response.content) == offered["bytes"]
    if encoding == "gzip":
        assert int(response.headers["content-length"]) == offered["transferred"]


async def test_a_network_that_was_changed_on_the_disk_is_not_offered(
    settings: Settings, store: ModelStore
) -> None:
    publish(store)
    async with running(settings) as service:
        (path,) = store.root.glob("*/1/litert/float32.tflite")
        path.chmod(0o644)
        path.write_bytes(NETWORK[:-1] + b"!")
        refused = await service.client.get("/v1/offline")
        path.write_bytes(NETWORK)
        assert refused.status_code == 500
        assert (await service.client.get("/v1/offline")).status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"agreement": None},
        {"golden": None},
        {"agreement": {"litert": made_agreement(equal_diagnoses=0.9)}},
        {"golden": Golden(seed=1, answers={"savedmodel": GOLDEN.answers["litert"]})},
    ],
)
async def test_a_version_that_a_browser_cannot_check_is_not_offered(
    settings: Settings, store: ModelStore, changes: dict[str, object]
) -> None:
    publish(store, **changes)
    document = await offer(settings)
    assert document["version"] is None
    assert "Version 1 has no network" in document["objection"]


async def test_an_old_version_without_the_file_is_not_offered(
    settings: Settings, store: ModelStore
) -> None:
    publish_plain(store, 1)
    assert (await offer(settings))["version"] is None


async def test_without_a_version_nothing_is_offered(settings: Settings) -> None:
    assert (await offer(settings))["objection"] == "The service has no model yet."


async def test_the_operator_can_turn_it_off(settings: Settings, store: ModelStore) -> None:
    publish(store)
    document = await offer(settings.model_copy(update={"offline": False}))
    assert "LENTIGO_OFFLINE" in document["objection"]


async def test_with_an_audit_trail_it_is_not_offered(
    settings: Settings, store: ModelStore, tmp_path: Path
) -> None:
    publish(store)
    trail = made_trail(tmp_path)
    audited = settings.model_copy(update={"audit_dir": trail.folder, "audit_key": trail.key})
    assert "audit trail" in (await offer(audited))["objection"]
