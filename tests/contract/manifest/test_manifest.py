import json
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from lentigo_contract.errors import DamagedVersionError, IncompatibleVersionError
from lentigo_contract.labels import CODES
from lentigo_contract.manifest.manifest import MAX_MANIFEST_BYTES, FileRecord, Manifest
from tests.fakes import made_agreement, made_compression, made_golden, made_manifest
from tests.older_release import MANIFEST

Document = dict[str, Any]


def document(**changes: object) -> Document:
    parsed: Document = json.loads(made_manifest().to_json())
    return {**parsed, **changes}


def read(changed: Document) -> Manifest:
    return Manifest.from_json(json.dumps(changed).encode())


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    manifest = made_manifest(
        version=3,
        limit=300,
        forced="It was trained with --limit 300.",
        agreement={"litert": made_agreement()},
        golden=made_golden(),
        compression=made_compression(),
        files={"variables/variables.index": FileRecord(sha256="0" * 64, bytes=12)},
    )
    path = tmp_path / "manifest.json"
    path.write_text(manifest.to_json(), encoding="utf-8")

    assert Manifest.read(path) == manifest


def test_a_manifest_of_an_older_release_is_of_no_quick_run_and_was_not_forced() -> None:
    assert "forced" not in json.loads(MANIFEST.read_text())
    manifest = Manifest.read(MANIFEST)
    assert (manifest.limit, manifest.forced, manifest.compression) == (None, None, None)
    # What is read keeps its schema, so that it is not taken for what a newer release wrote.
    assert manifest.schema_version == 1
    assert made_manifest().schema_version == 2


def test_the_text_is_the_same_each_time_and_fit_for_version_control() -> None:
    text = made_manifest().to_json()

    assert text == made_manifest().to_json()
    assert text.endswith("}\n")


def test_a_new_manifest_has_no_number_no_files_and_the_labels_in_order() -> None:
    manifest = made_manifest()

    assert (manifest.version, manifest.files, manifest.labels) == (0, {}, CODES)
    assert manifest.input.model_dump() == {
        "height": 224,
        "width": 224,
        "channels": 3,
        "dtype": "uint8",
        "color": "RGB",
        "resize": "bilinear-squash",
    }


def test_labels_may_be_given_as_a_list() -> None:
    assert made_manifest(labels=list(CODES)).labels == CODES


def test_times_are_kept_in_utc() -> None:
    vienna = timezone(timedelta(hours=2))

    manifest = made_manifest(created=datetime(2026, 7, 1, 14, 0, tzinfo=vienna))

    assert manifest.created == datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
    assert json.loads(manifest.to_json())["created"] == "2026-07-01T12:00:00Z"


def test_a_manifest_does_not_change() -> None:
    with pytest.raises(ValidationError):
        made_manifest().version = 7  # type: ignore[misc]


@pytest.mark.parametrize(
    "changes",
    [
        {"created": datetime(2026, 7, 1, 14, 0)},  # noqa: DTZ001 - what is refused here
        {"seed": "101"},
        {"version": -1},
        {"version": True},
        {"limit": -1},
        {"limit": 300.0},
        {"forced": True},
        {"metrics": {"accuracy": math.nan}},
        {"metrics": {"curve": [{"loss": math.inf}]}},
        {"parameters": {"total": 3, "trainable": 1, "frozen": 1}},
        {"thresholds": {"malignancy": 1.1, "source": "made up"}},
        {"calibration": {"method": "temperature", "temperature": 0.0}},
        {"calibration": {"method": "guessing", "temperature": 1.0}},
        {"activation_map": {"height": 0, "width": 7}},
        {"dataset": document()["dataset"] | {"digest": "a" * 63}},
        {"colour": "blue"},
    ],
    ids=str,
)
def test_values_that_make_no_sense_are_refused(changes: Document) -> None:
    with pytest.raises(ValidationError):
        made_manifest(**changes)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "../2/saved_model.pb",
        "variables/../../x",
        "variables//x",
        "variables/",
        "./x",
        ".",
        "..",
        "a\\..\\b",
        "new\nline",
        "nul\x00",
    ],
)
def test_a_file_outside_the_version_cannot_be_listed(path: str) -> None:
    with pytest.raises(DamagedVersionError, match="inside the version"):
        read(document(files={path: {"sha256": "0" * 64, "bytes": 1}}))


@pytest.mark.parametrize("path", ["saved_model.pb", "variables/a.b", "...", ".hidden", "a b/ü.txt"])
def test_a_file_inside_the_version_can_be_listed(path: str) -> None:
    assert path in read(document(files={path: {"sha256": "0" * 64, "bytes": 1}})).files


def test_a_newer_schema_is_told_from_damage() -> None:
    changed = document(schema_version=3, novelty={"of": "schema 3"})

    with pytest.raises(IncompatibleVersionError, match=r"schema version 3.*Update Lentigo"):
        read(changed)


@pytest.mark.parametrize(
    "labels", [list(reversed(CODES)), list(CODES[:6]), [*CODES, "scc"], []], ids=len
)
def test_other_labels_are_incompatible(labels: list[str]) -> None:
    with pytest.raises(IncompatibleVersionError, match="Train and publish with this release"):
        read(document(labels=labels))


@pytest.mark.parametrize(
    "change", [{"height": 299}, {"dtype": "float32"}, {"color": "BGR"}, {"resize": "center-crop"}]
)
def test_another_input_is_incompatible(change: Document) -> None:
    with pytest.raises(IncompatibleVersionError, match="wants the input"):
        read(document(input=document()["input"] | change))


SHARES = dict(zip(CODES, (0.03, 0.05, 0.11, 0.01, 0.11, 0.67, 0.02), strict=True))


def test_a_version_may_declare_its_prevalence_and_calibrate_malignancy() -> None:
    changed = document(
        prevalence=dict(reversed(SHARES.items())),
        malignancy_calibration={"slope": 0.8, "intercept": -0.4, "source": "made up"},
    )
    manifest = read(changed)
    assert manifest.prevalence is not None
    assert list(manifest.prevalence.items()) == list(SHARES.items())
    assert Manifest.from_json(manifest.to_json().encode()) == manifest


def test_older_manifests_declare_neither() -> None:
    changed = document()
    del changed["prevalence"], changed["malignancy_calibration"]
    manifest = read(changed)
    assert (manifest.prevalence, manifest.malignancy_calibration) == (None, None)


@pytest.mark.parametrize(
    ("shares", "why"),
    [
        ({**SHARES, "nv": 0.77}, "sum to 1.1, and must sum to 1"),
        ({**SHARES, "nv": 0.67001}, "must sum to 1"),
        ({**SHARES, "nv": 0.7, "df": -0.02}, "share of df is -0.02"),
        ({**SHARES, "nv": 0.68, "df": 0.0}, "share of df is 0"),
        ({code: SHARES[code] for code in CODES[:6]}, "no share of vasc"),
        ({**SHARES, "scc": 0.0}, "scc: not a diagnosis"),
        ({**SHARES, "nv": "0.67"}, "valid number"),
        ({**SHARES, "nv": True}, "valid number"),
        ({**SHARES, "nv": math.nan}, "finite number"),
        ({**SHARES, "nv": math.inf}, "finite number"),
        ({}, "no share of akiec"),
        ([0.1] * 7, "dictionary"),
    ],
)
def test_a_prevalence_is_seven_positive_shares_that_sum_to_one(shares: object, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        made_manifest(prevalence=shares)


@pytest.mark.parametrize(
    "changes", [{"slope": 0.0}, {"slope": -1.0}, {"intercept": math.inf}, {"slope": "1"}], ids=str
)
def test_a_calibration_of_malignancy_keeps_the_order_of_images(changes: Document) -> None:
    values = {"slope": 1.0, "intercept": 0.0, "source": "made up", **changes}
    with pytest.raises(ValidationError):
        made_manifest(malignancy_calibration=values)


def without(name: str) -> Document:
    changed = document()
    del changed[name]
    return changed


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"{", id="cut off"),
        pytest.param(b"\xff\xfe", id="no text"),
        pytest.param(b"null", id="null"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"{}", id="empty"),
        pytest.param(b"[" * 100_000, id="too deep"),
        pytest.param(json.dumps(document(schema_version="1")).encode(), id="schema as text"),
        pytest.param(json.dumps(without("architecture")).encode(), id="a field missing"),
        pytest.param(json.dumps(document(extra=1)).encode(), id="a field too many"),
        pytest.param(json.dumps(document(metrics={"loss": math.nan})).encode(), id="no number"),
        pytest.param(json.dumps(document(seed=1.5)).encode(), id="half a seed"),
    ],
)
def test_what_is_not_a_manifest_is_damage(text: bytes) -> None:
    with pytest.raises(DamagedVersionError, match="publish it again"):
        Manifest.from_json(text)


def test_the_message_names_the_field_at_fault() -> None:
    changed = document(parameters={"total": 1, "trainable": 1, "frozen": "none"})

    with pytest.raises(DamagedVersionError, match=r"parameters\.frozen"):
        read(changed)


def nothing(_: Path) -> None:
    """Leave no manifest at all."""


def folder(path: Path) -> None:
    path.mkdir()


def link(path: Path) -> None:
    real = path.with_name("elsewhere.json")
    real.write_text(made_manifest().to_json())
    path.symlink_to(real)


def far_too_large(path: Path) -> None:
    path.write_bytes(b" " * (MAX_MANIFEST_BYTES + 1))


@pytest.mark.parametrize("put", [nothing, folder, link, far_too_large])
def test_what_cannot_be_read_is_damage(tmp_path: Path, put: Callable[[Path], None]) -> None:
    path = tmp_path / "manifest.json"
    put(path)

    with pytest.raises(DamagedVersionError, match=str(path)):
        Manifest.read(path)
