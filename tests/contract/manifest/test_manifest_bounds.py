"""A writer to the volume cannot fill a reader's memory, nor its log, with a manifest."""

import json
from typing import Any

import pytest

from lentigo_contract.errors import DamagedVersionError, IncompatibleVersionError
from lentigo_contract.manifest.manifest import MAX_MANIFEST_BYTES, Manifest
from tests.fakes import (
    made_agreement,
    made_compression,
    made_golden,
    made_manifest,
    made_unlikeness,
)

Path = tuple[str, ...]

WHOLE = made_manifest(
    golden=made_golden(),
    agreement={"litert": made_agreement()},
    unlikeness=made_unlikeness(),
    compression=made_compression(),
)
LONG = "x" * 5000
ROW = [1, 0, 0, 0, 0, 0, 0]
FILE = {"sha256": "0" * 64, "bytes": 1}

TOO_MUCH: dict[Path, object] = {
    ("golden", "answers", "litert", "probabilities"): [ROW] * 33,
    ("golden", "seed"): 10**30,
    ("activation_map", "height"): 225,
    ("activation_map", "width"): 10**9,
    ("labels",): ["a"] * 101,
    ("name",): LONG,
    ("architecture",): LONG,
    ("license",): LONG,
    ("code_version",): LONG,
    ("seed",): -(10**30),
    ("version",): 10**30,
    ("parameters", "total"): 10**30,
    ("input", "dtype"): LONG,
    ("calibration", "note"): LONG,
    ("thresholds", "source"): LONG,
    ("thresholds", "abstention_source"): LONG,
    ("unlikeness", "method"): LONG,
    ("unlikeness", "source"): LONG,
    ("compression", "variant"): LONG,
    ("compression", "steps"): ["int8"] * 11,
    ("compression", "settings"): {"many": [0] * 10_000},
    ("compression", "folds"): 10**6,
    ("dataset", "name"): LONG,
    ("dataset", "source"): LONG,
    ("dataset", "license"): LONG,
    ("plan", "per_class"): {str(place): 1 for place in range(1001)},
    ("metrics",): {"many": [0] * 10_000},
    ("recipe",): {"long": LONG},
    ("recipe", "deep"): [[[[{LONG: 1}]]]],
    ("files",): {f"file-{place}": FILE for place in range(1001)},
    ("files", "a" * 1025): FILE,
}


def changed(path: Path, value: object) -> bytes:
    document: dict[str, Any] = json.loads(WHOLE.to_json())
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return json.dumps(document).encode()


@pytest.mark.parametrize("path", TOO_MUCH, ids=lambda path: ".".join(path)[:60])
def test_more_than_any_trainer_writes_is_refused_in_few_words(path: Path) -> None:
    with pytest.raises(DamagedVersionError, match="not a valid manifest") as caught:
        Manifest.from_json(changed(path, TOO_MUCH[path]))

    assert len(str(caught.value)) < 600


def test_an_unknown_field_with_an_endless_name_is_refused_in_few_words() -> None:
    with pytest.raises(DamagedVersionError) as caught:
        Manifest.from_json(changed(("x" * 100_000,), 1))

    assert len(str(caught.value)) < 600


def test_other_labels_are_refused_in_few_words() -> None:
    with pytest.raises(IncompatibleVersionError) as caught:
        Manifest.from_json(changed(("labels",), ["x" * 200] * 100))

    assert len(str(caught.value)) < 800


@pytest.mark.parametrize("filling", [b"[]", b"0", b"{}", b'""'])
def test_the_largest_manifest_of_the_smallest_values_is_refused(filling: bytes) -> None:
    values = b",".join([filling] * (MAX_MANIFEST_BYTES // 4))

    with pytest.raises(DamagedVersionError):
        Manifest.from_json(changed(("metrics",), "HERE").replace(b'"HERE"', b"[%s]" % values))


def test_the_shipped_manifest_has_far_less_than_is_allowed() -> None:
    assert len(WHOLE.to_json()) < MAX_MANIFEST_BYTES / 100
