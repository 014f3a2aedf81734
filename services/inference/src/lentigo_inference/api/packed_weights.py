"""Pack a file of float32 weights for a download, without losing a bit of it.

A version's kernels are whole numbers times a power of two (`lentigo_trainer.export.weight_grid`),
but as float32 such a number takes four bytes, which compress badly. Packed, it takes two, and gzip
brings these to about ten bits. `js/offline/packing.js` unpacks it.

The file is read as little-endian float32 words, padded with zeros to whole blocks of 256, in pieces
of 256 blocks, the last of which may have fewer. Each piece becomes, one after the other:

- an int8 for each block: the power of two, or -128 for a block of other words;
- of all blocks with a power, the numbers as uint16 in zigzag (0, -1, 1, -2, ...): first their low
  bytes, then their high ones;
- of all other blocks, the words: first their lowest bytes, ..., last their highest ones.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

_BLOCK_WORDS: Final = 256
PIECE_BYTES: Final = 256 * _BLOCK_WORDS * 4

_OTHER: Final = -128
_LEAST_POWER: Final = -126
_MOST: Final = 2**15 - 1

# IEEE 754, single precision.
_FRACTION_BITS: Final = 23
_FRACTION: Final = np.uint32(2**_FRACTION_BITS - 1)
_HIDDEN_BIT: Final = np.uint32(2**_FRACTION_BITS)
_EXPONENT: Final = np.uint32(0xFF)
_BIAS: Final = 127

_Words = npt.NDArray[np.uint32]


def pack(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Pack a file piece by piece.

    Args:
        pieces: of the file, `PIECE_BYTES` each; the last may have fewer.
    """
    for piece in pieces:
        padding = -len(piece) % (_BLOCK_WORDS * 4)
        yield _packed(np.frombuffer(piece + bytes(padding), "<u4").reshape(-1, _BLOCK_WORDS))


def _packed(words: _Words) -> bytes:
    powers, numbers = _in_powers(words)
    other = powers == _OTHER
    zigzag = ((numbers << 1) ^ (numbers >> 15)).astype("<u2")[~other]
    return b"".join((powers.tobytes(), _planes(zigzag), _planes(words[other])))


def _planes(values: npt.NDArray[np.unsignedinteger]) -> bytes:
    """Return the first bytes of all values, then their second ones, and so on."""
    return values.reshape(-1, 1).view(np.uint8).T.tobytes()


def _in_powers(words: _Words) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int32]]:
    """Write blocks as whole numbers times a power of two.

    Returns:
        The powers, int8 [blocks], and the numbers, int32 [blocks, 256]; where that would not give
        back each word, `_OTHER` and zeros.
    """
    significand = (words & _FRACTION) | _HIDDEN_BIT
    lowest_bit = np.bitwise_count((significand & -significand) - 1).astype(np.int32)
    exponent = ((words >> _FRACTION_BITS) & _EXPONENT).astype(np.int32)
    lowest = exponent - _BIAS - _FRACTION_BITS + lowest_bit
    powers = np.where(words == 0, 0, lowest).min(axis=1, initial=0, where=words != 0)
    # Words that are no weights may be signalling NaNs.
    with np.errstate(invalid="ignore"):
        scaled = np.ldexp(words.view("<f4").astype(np.float64), -powers[:, None])
        numbers = np.where(np.abs(scaled) <= _MOST, scaled, 0).astype(np.int32)
    back = np.ldexp(numbers.astype(np.float64), powers[:, None]).astype("<f4").view("<u4")
    exact = (back == words).all(axis=1) & (powers >= _LEAST_POWER)
    numbers[~exact] = 0
    return np.where(exact, powers, _OTHER).astype(np.int8), numbers
