"""The fuzz targets on their seeds and on a few damaged ones; `make fuzz` tries millions."""

import random
from collections.abc import Iterator

import pytest

from fuzz.__main__ import TARGETS, target
from fuzz.json_edits import VALUES, edited

pytestmark = pytest.mark.filterwarnings("ignore")


def damaged(seed: bytes, dealer: random.Random) -> bytes:
    data = bytearray(seed)
    for _ in range(3):
        data[dealer.randrange(len(data))] = dealer.randrange(256)
    return bytes(data)


def inputs(name: str) -> Iterator[bytes]:
    dealer = random.Random(0)
    for seed in target(name).seeds():
        yield seed
        yield from (damaged(seed, dealer) for _ in range(5))


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_treats_its_seeds_as_it_should(name: str) -> None:
    tried = list(inputs(name))
    assert max(map(len, tried)) <= target(name).MAX_BYTES
    for data in tried:
        target(name).check(data)


def test_edits_reach_every_place_of_a_document() -> None:
    document = {"a": [1, {"b": 2}], "c": None}
    texts = {edited(document, bytes((0, place, 11))) for place in range(5)}
    assert texts == {
        b'{"a": "", "c": null}',
        b'{"a": ["", {"b": 2}], "c": null}',
        b'{"a": [1, ""], "c": null}',
        b'{"a": [1, {"b": ""}], "c": null}',
        b'""',
    }
    assert VALUES[11] == ""


def test_edits_delete_and_repeat() -> None:
    assert edited([1, 2], bytes((0, 1, 255))) == b"[2]"
    assert edited([1, 2], bytes((0, 1, 254))) == b"[1, 1, 2]"
    assert edited({"a": 1}, b"") == b'{"a": 1}'
