"""Manifests: whatever the file says, a manifest that reads back the same, or an error about it."""

import functools
import json
from collections.abc import Iterator
from typing import Final

from fuzz.json_edits import edited
from lentigo_contract.errors import RepositoryError
from lentigo_contract.manifest.engines import GoldenAnswer
from lentigo_contract.manifest.manifest import Manifest
from tests.fakes import made_agreement, made_golden, made_manifest, made_unlikeness

MAX_BYTES: Final = 32 * 2**10


_EDITS: Final = b"e"


def seeds() -> Iterator[bytes]:
    """Give manifests with few and with many fields, what is none, and edits of one ("e", edits)."""
    for manifest in (made_manifest(), _full()):
        yield manifest.to_json().encode()
        yield manifest.model_dump_json().encode()
    yield b'{"schema_version": 2}'
    yield b"[" * 2000
    # With every value at a few places.
    for place in range(0, 120, 10):
        yield _EDITS + bytes((0, place, place))


def check(data: bytes) -> None:
    """Read a manifest."""
    if data[:1] == _EDITS:
        data = edited(json.loads(_full().model_dump_json()), data[1:])
    try:
        manifest = Manifest.from_json(data)
    except RepositoryError as error:
        # It is logged and shown.
        assert len(str(error)) < 2000
        return
    assert Manifest.from_json(manifest.to_json().encode()) == manifest


@functools.cache
def _full() -> Manifest:
    golden = made_golden()
    rows = golden.answers["litert"].probabilities
    int8 = GoldenAnswer(
        probabilities=rows,
        tolerance=0.01,
        log_tolerance=0.1,
        unlikeness=(0.5,),
        unlikeness_tolerance=0.1,
    )
    return made_manifest(
        golden=golden.model_copy(update={"answers": {**golden.answers, "litert-int8": int8}}),
        agreement={"litert": made_agreement()},
        unlikeness=made_unlikeness(),
    )
