"""Packing of weights; `tests/e2e/page/test_offline.py` unpacks them in a browser."""

import zlib

import numpy as np
import pytest
from numpy.typing import NDArray

from lentigo_inference.api.packed_weights import PIECE_BYTES, pack

BLOCK = 256
PIECE = 256 * BLOCK


def packed(content: bytes) -> bytes:
    starts = range(0, len(content), PIECE_BYTES)
    return b"".join(pack(content[start : start + PIECE_BYTES] for start in starts))


def unpacked(packed: bytes, length: int) -> bytes:
    """Read the format as its description says, one value after the other."""
    words: list[bytes] = []
    at = 0

    def planes(count: int, size: int) -> NDArray[np.uint8]:
        nonlocal at
        taken = np.frombuffer(packed, np.uint8, count * size, at).reshape(size, count)
        at += count * size
        return taken.T.copy()

    blocks = -(-length // (4 * BLOCK))
    for first in range(0, blocks, 256):
        powers = planes(min(256, blocks - first), 1).view(np.int8)[:, 0]
        numbers = iter(planes(BLOCK * int((powers != -128).sum()), 2).view("<u2")[:, 0])
        others = iter(planes(BLOCK * int((powers == -128).sum()), 4))
        for power in powers:
            for _ in range(BLOCK):
                if power == -128:
                    words.append(next(others).tobytes())
                else:
                    zigzag = int(next(numbers))
                    number = zigzag // 2 if zigzag % 2 == 0 else -(zigzag + 1) // 2
                    words.append(np.float32(number * 2.0 ** int(power)).tobytes())
    assert at == len(packed)
    return b"".join(words)[:length]


def on_grid(count: int, power: int, most: int = 2**15 - 1) -> NDArray[np.float32]:
    numbers = np.random.default_rng(count).integers(-most, most, count, endpoint=True)
    return (numbers * 2.0**power).astype(np.float32)


ODD = np.array([-0.0, 1e-45, 3.4e38, np.inf, -np.inf, np.nan], np.float32)

CONTENTS = {
    "nothing": b"",
    "a byte": b"\x01",
    "zeros": bytes(3 * 4 * BLOCK + 5),
    "weights on a grid": on_grid(5 * BLOCK, -12).tobytes(),
    "the largest and smallest numbers": on_grid(BLOCK, -126).tobytes(),
    "too large a number": (on_grid(BLOCK, -12) * 2 + 2.0**-12).astype(np.float32).tobytes(),
    "too small a power": on_grid(BLOCK, -128, 100).tobytes(),
    "whole numbers": on_grid(BLOCK, 3).tobytes(),
    "what is no number": np.tile(ODD, 300).tobytes(),
    "a negative zero among weights": np.append(on_grid(300, -9), np.float32(-0.0)).tobytes(),
    "bytes": np.random.default_rng(1).bytes(3001),
    "several pieces": b"head" + on_grid(PIECE + 700, -10).tobytes() + ODD.tobytes() + b"end",
}


@pytest.mark.parametrize("name", CONTENTS)
def test_what_was_packed_comes_back_to_the_bit(name: str) -> None:
    content = CONTENTS[name]
    assert unpacked(packed(content), len(content)) == content


def test_weights_on_a_grid_take_half_the_bytes() -> None:
    content = on_grid(2 * PIECE, -14, 300).tobytes()
    result = packed(content)
    assert len(result) == len(content) // 2 + 512
    assert len(zlib.compress(result)) < 0.75 * len(zlib.compress(content))


def test_other_words_take_hardly_more_than_they_did() -> None:
    content = np.random.default_rng(2).normal(size=PIECE).astype(np.float32).tobytes()
    assert len(packed(content)) == len(content) + 256
