"""`POST /v1/predictions` as FHIR, and `GET /fhir/metadata`."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from lentigo_contract.errors import CodeMapError
from lentigo_contract.labels import CODES
from lentigo_contract.repository.store import ModelStore
from lentigo_inference.settings import Settings
from tests.contract.fhir.r4 import assert_valid, by_type, observation
from tests.fakes import jpeg_bytes
from tests.inference.live_app import problem_of, running
from tests.models import publish_plain

pytestmark = pytest.mark.anyio

FHIR = {"Accept": "application/fhir+json"}


async def test_an_answer_is_a_valid_bundle(settings: Settings, store: ModelStore) -> None:
    publish_plain(store, 1)
    data = jpeg_bytes()
    async with running(settings) as service:
        response = await service.predict(data, FHIR)
        plain = (await service.predict(data)).json()
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/fhir+json"
    assert response.headers["vary"] == "Accept"
    bundle = response.json()
    assert_valid(bundle)
    said = observation(bundle, "lesion-classification")
    values = {
        each["code"]["coding"][0]["code"]: each["valueQuantity"]["value"]
        for each in said["component"]
    }
    assert list(values) == list(CODES)
    assert values == {each["code"]: each["probability"] for each in plain["probabilities"]}
    (document,) = by_type(bundle)["DocumentReference"]
    assert document["identifier"][0]["value"] == hashlib.sha256(data).hexdigest()


async def test_the_device_has_the_digest_of_the_manifest(
    settings: Settings, store: ModelStore
) -> None:
    publish_plain(store, 1)
    async with running(settings) as service:
        bundle = (await service.predict(headers=FHIR)).json()
        digest = service.state.slot.require().manifest_sha256
    (device,) = by_type(bundle)["Device"]
    assert device["identifier"][0]["value"] == f"lentigo/1/{digest}"


async def test_an_image_that_cannot_be_judged_is_a_result_too(
    settings: Settings, store: ModelStore
) -> None:
    publish_plain(store, 1)
    black = jpeg_bytes_of_black()
    async with running(settings) as service:
        response = await service.predict(black, FHIR)
    assert response.status_code == 200
    assert_valid(response.json())
    said = observation(response.json(), "lesion-classification")
    assert said["dataAbsentReason"]["text"] == "the image is too dark"


async def test_json_stays_as_it_was(settings: Settings, store: ModelStore) -> None:
    publish_plain(store, 1)
    async with running(settings) as service:
        response = await service.predict(headers={"Accept": "application/json, text/plain, */*"})
    assert response.headers["content-type"] == "application/json"
    assert response.headers["vary"] == "Accept"
    assert response.json()["diagnosis"]


async def test_what_there_is_none_of_is_a_problem_before_the_upload(
    settings: Settings, store: ModelStore
) -> None:
    publish_plain(store, 1)
    async with running(settings) as service:
        response = await service.predict(b"no image", {"Accept": "application/fhir+xml"})
    assert response.status_code == 406
    problem = problem_of(response)
    assert problem["type"] == "urn:lentigo:problem:not-acceptable"
    assert "application/fhir+json" in problem["detail"]


async def test_an_error_is_a_problem_document_also_for_fhir(
    settings: Settings, store: ModelStore
) -> None:
    publish_plain(store, 1)
    async with running(settings) as service:
        response = await service.predict(b"no image", FHIR)
    assert problem_of(response)["status"] == 415


async def test_a_hospitals_codes_stand_in_the_bundle(
    settings: Settings, store: ModelStore, tmp_path: Path
) -> None:
    publish_plain(store, 1)
    file = tmp_path / "codes.toml"
    codes = [
        f'[[codes]]\ndiagnosis = "{code}"\nsystem = "https://hospital.example/codes"\n'
        f'code = "H-{code}"\ndisplay = "Ours"\nrelation = "equivalent"\nsources = ["us"]\n'
        for code in CODES
    ]
    file.write_text("schema = 1\n" + "".join(codes))
    async with running(settings.model_copy(update={"fhir_codes": file})) as service:
        bundle = (await service.predict(headers=FHIR)).json()
    said = observation(bundle, "lesion-classification")
    codings = said["component"][0]["code"]["coding"]
    assert [each["code"] for each in codings] == ["akiec", "H-akiec"]


async def test_a_malformed_map_stops_the_start(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "codes.toml"
    file.write_text("schema = 3")
    with pytest.raises(CodeMapError, match="schema"):
        async with running(settings.model_copy(update={"fhir_codes": file})):
            pass


async def test_metadata_is_a_capability_statement_that_is_open_to_all(
    settings: Settings, tmp_path: Path
) -> None:
    keyed = settings.model_copy(update={"key_file": key_file(tmp_path)})
    async with running(keyed) as service:
        response = await service.client.get("/fhir/metadata", headers=FHIR)
        as_json = await service.client.get("/fhir/metadata", headers={"Accept": "text/html, */*"})
        refused = await service.client.get("/fhir/metadata", headers={"Accept": "text/html"})
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/fhir+json"
    statement: dict[str, Any] = response.json()
    assert_valid(statement)
    assert statement["fhirVersion"] == "4.0.1"
    assert as_json.json() == statement
    assert problem_of(refused)["status"] == 406


async def test_the_document_describes_both_forms(settings: Settings) -> None:
    async with running(settings) as service:
        document = (await service.client.get("/openapi.json")).json()
    described = document["paths"]["/v1/predictions"]["post"]["responses"]
    assert set(described["200"]["content"]) == {"application/json", "application/fhir+json"}
    assert "406" in described
    assert "/fhir/metadata" in document["paths"]
    assert json.dumps(described["406"]).count("not-acceptable") >= 1


def jpeg_bytes_of_black() -> bytes:
    from PIL import Image

    return jpeg_bytes(Image.new("RGB", (300, 225)))


def key_file(folder: Path) -> Path:
    from lentigo_inference.security.api_keys import Scope, add_key, make_key

    file = folder / "keys.json"
    add_key(file, make_key("ward-7", frozenset({Scope.PREDICT}))[0])
    return file
