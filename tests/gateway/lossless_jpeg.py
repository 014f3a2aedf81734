"""An encoder of JPEG Lossless (ITU-T T.81, annex H), since nothing that is installed writes it."""

from typing import Any, Final

import numpy as np

SV1: Final = "1.2.840.10008.1.2.4.70"
PROCESS_14: Final = "1.2.840.10008.1.2.4.57"

JFIF: Final = bytes.fromhex("ffe0 0010 4a46494600 0101 00 0001 0001 0000")
# Eleven codes of four bits, one for each number of bits that a difference may have.
_TABLE: Final = bytes.fromhex("ffc4 001e 00 0000000b 000000000000000000000000") + bytes(range(11))


def lossless_jpeg(
    pixels: np.ndarray[Any, Any], predictor: int = 1, *, precision: int = 8, front: bytes = b""
) -> bytes:
    """Encode samples, [rows, columns] or [rows, columns, 3], without converting their colours.

    `front` are segments before the frame, such as `JFIF`.
    """
    samples = np.atleast_3d(pixels).astype(int)
    rows, columns, components = samples.shape
    frame = b"".join(bytes((number, 0x11, 0)) for number in range(1, components + 1))
    scan = b"".join(bytes((number, 0)) for number in range(1, components + 1))
    size = rows.to_bytes(2, "big") + columns.to_bytes(2, "big") + bytes((components,))
    bits = "".join(
        _code(int(difference))
        for difference in (samples - _predicted(samples, predictor, precision)).ravel()
    )
    bits += "1" * (-len(bits) % 8)
    coded = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\x00")
    return b"".join(
        (
            b"\xff\xd8",
            front,
            _segment(0xC3, bytes((precision,)) + size + frame),
            _TABLE,
            _segment(0xDA, bytes((components,)) + scan + bytes((predictor, 0, 0))),
            coded,
            b"\xff\xd9",
        )
    )


def _segment(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(content) + 2).to_bytes(2, "big") + content


def _predicted(
    samples: np.ndarray[Any, Any], predictor: int, precision: int
) -> np.ndarray[Any, Any]:
    """Predict each sample from its left (a), upper (b) and upper left (c) neighbour; table H.1."""
    a, b, c = (np.zeros_like(samples) for _ in range(3))
    a[:, 1:] = samples[:, :-1]
    b[1:] = samples[:-1]
    c[1:, 1:] = samples[:-1, :-1]
    predictors = [a, b, c, a + b - c, a + ((b - c) >> 1), b + ((a - c) >> 1), (a + b) >> 1]
    found: np.ndarray[Any, Any] = predictors[predictor - 1]
    # The first row and column have one neighbour, and the first sample none.
    found[:, 0] = b[:, 0]
    found[0] = a[0]
    found[0, 0] = 1 << (precision - 1)
    return found


def _code(difference: int) -> str:
    width = abs(difference).bit_length()
    if not width:
        return "0000"
    shown = difference if difference > 0 else difference + (1 << width) - 1
    return f"{width:04b}{shown:0{width}b}"
