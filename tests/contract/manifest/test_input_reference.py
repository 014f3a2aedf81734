import json
from typing import Any

import pytest
from pydantic import ValidationError

from lentigo_contract.errors import DamagedVersionError
from lentigo_contract.manifest.input_reference import LEVELS, InputReference
from lentigo_contract.manifest.manifest import Manifest
from tests.fakes import made_manifest
from tests.older_release import MANIFEST

FIELDS: dict[str, Any] = {
    "images": "made up",
    "n": 10,
    "refused": 1,
    "brightness": LEVELS,
    "sharpness": LEVELS,
}


def test_a_manifest_keeps_its_reference() -> None:
    reference = InputReference(**FIELDS, unlikeness=(0.0,) * len(LEVELS))
    manifest = made_manifest(input_reference=reference)
    assert Manifest.from_json(manifest.to_json().encode()).input_reference == reference


def test_a_version_of_an_older_release_has_none() -> None:
    assert Manifest.read(MANIFEST).input_reference is None


@pytest.mark.parametrize(
    "changes",
    [
        {"n": 0},
        {"refused": 11},
        {"refused": -1},
        {"brightness": LEVELS[1:]},
        {"brightness": LEVELS[::-1]},
        {"brightness": (*LEVELS[1:], float("inf"))},
        {"sharpness": (-1.0, *LEVELS[1:])},
        {"unlikeness": ()},
        {"images": "x" * 5000},
        {"contrast": LEVELS},
    ],
    ids=str,
)
def test_a_reference_that_is_none_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        InputReference(**{**FIELDS, **changes})


def test_a_manifest_with_such_a_reference_is_damaged() -> None:
    document = json.loads(made_manifest().to_json())
    document["input_reference"] = {**FIELDS, "brightness": [3, 2, 1]}
    with pytest.raises(DamagedVersionError, match="input_reference"):
        Manifest.from_json(json.dumps(document).encode())
