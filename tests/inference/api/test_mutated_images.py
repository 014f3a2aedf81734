"""Five thousand damaged files through the whole service: no 5xx, no growth, no blocked loop."""

import asyncio
import os
import random
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

import httpx
import numpy as np
import pytest

from lentigo_contract.repository.store import ModelStore, StoredVersion
from lentigo_engines.base import Engine, Images, Prediction
from lentigo_inference.settings import Settings
from tests.fakes import jpeg_bytes, lesion_image
from tests.images import PNG_SIGNATURE, encoded, png_chunk
from tests.inference.live_app import Running, running
from tests.models import PlainEngine, publish_plain

pytestmark = [
    pytest.mark.anyio,
    # Damaged files make Pillow warn, which tests turn into errors; the service lets it warn.
    pytest.mark.filterwarnings("ignore"),
]

FILES: Final = 5000
IN_A_FORM: Final = 32
_SMALL: Final = lesion_image(1, "mel", (48, 40))

VICTIMS: Final = {
    "JPEG": encoded(_SMALL, "JPEG"),
    "progressive": encoded(_SMALL, "JPEG", progressive=True),
    "CMYK": encoded(_SMALL.convert("CMYK"), "JPEG"),
    "PNG": encoded(_SMALL, "PNG"),
    "palette": encoded(_SMALL.quantize(16), "PNG", transparency=3),
    "TIFF": encoded(_SMALL, "TIFF"),
    "LZW": encoded(_SMALL, "TIFF", compression="tiff_lzw"),
    "TIFF with JPEG": encoded(_SMALL, "TIFF", compression="jpeg"),
}

# Values at which decoders slip: none, the ends of signed and unsigned, and just beyond.
_EDGES: Final = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)


def mutated(number: int) -> bytes:
    """Damage one of the victims; the same number gives the same file."""
    kind = list(VICTIMS)[number % len(VICTIMS)]
    dealer = random.Random(number)
    data = bytearray(VICTIMS[kind])
    for _ in range(dealer.randint(1, 4)):
        dealer.choice(_DAMAGES)(data, dealer)
    damaged = bytes(data)
    # Half of the PNGs get their check sums mended, or none would come past them.
    return _resealed(damaged) if kind in ("PNG", "palette") and number % 2 else damaged


def _flip(data: bytearray, dealer: random.Random) -> None:
    if data:
        data[dealer.randrange(len(data))] ^= 1 << dealer.randrange(8)


def _edge(data: bytearray, dealer: random.Random) -> None:
    value, order = dealer.choice(_EDGES), dealer.choice("<>")
    packed = struct.pack(order + ("B" if value <= 0xFF else "H" if value <= 0xFFFF else "I"), value)
    # Headers and directories stand at the beginning and the end.
    place = dealer.choice(
        (dealer.randrange(120), -dealer.randrange(1, 200), dealer.randrange(5000))
    )
    place %= max(1, len(data))
    data[place : place + len(packed)] = packed


def _cut(data: bytearray, dealer: random.Random) -> None:
    del data[dealer.randrange(len(data) + 1) :]


def _drop(data: bytearray, dealer: random.Random) -> None:
    start = dealer.randrange(len(data) + 1)
    del data[start : start + dealer.randrange(1, 40)]


def _repeat(data: bytearray, dealer: random.Random) -> None:
    start = dealer.randrange(len(data) + 1)
    data[start:start] = data[start : start + dealer.randrange(1, 200)] * dealer.randrange(1, 4)


def _noise(data: bytearray, dealer: random.Random) -> None:
    start = dealer.randrange(len(data) + 1)
    data[start : start + 16] = dealer.randbytes(dealer.randrange(1, 32))


_DAMAGES: Final[tuple[Callable[[bytearray, random.Random], None], ...]] = (
    _flip,
    _flip,
    _edge,
    _edge,
    _cut,
    _drop,
    _repeat,
    _noise,
)


def _resealed(png: bytes) -> bytes:
    """Give every chunk that can still be told apart its right check sum."""
    sealed, place = bytearray(PNG_SIGNATURE), len(PNG_SIGNATURE)
    while place + 12 <= len(png):
        length = int.from_bytes(png[place : place + 4])
        if place + 12 + length > len(png):
            break
        sealed += png_chunk(png[place + 4 : place + 8], png[place + 8 : place + 8 + length])
        place += 12 + length
    return bytes(sealed) + png[place:]


class Even(PlainEngine):
    """Gives the same of every image, at once: here the way to it is tried."""

    def predict(self, images: Images) -> Prediction:
        count = len(images)
        probabilities = np.full((count, 7), 1 / 7, np.float32)
        return Prediction(probabilities, np.zeros((count, 7, 7, 7), np.float32))


def load_even(_stored: StoredVersion) -> Engine:
    return Even(1)


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def send(service: Running, numbers: range) -> list[int]:
    """Send a form of damaged files, and give the status of each."""
    response: httpx.Response = await service.client.post(
        "/v1/predictions:batch", files=[("image", mutated(number)) for number in numbers]
    )
    assert response.status_code == 200
    results = response.json()["results"]
    assert len(results) == len(numbers)
    return [result.get("status", 200) for result in results]


async def test_damaged_files_are_refused_or_answered_and_nothing_of_them_stays(
    settings: Settings, store: ModelStore
) -> None:
    publish_plain(store, 1)
    statuses: list[int] = []
    async with running(settings, load_even) as service:
        grown_from = 0
        for start in range(0, FILES, 2 * IN_A_FORM):
            forms = [
                range(first, min(first + IN_A_FORM, FILES))
                for first in (start, start + IN_A_FORM)
                if first < FILES
            ]
            for answers in await asyncio.gather(*(send(service, form) for form in forms)):
                statuses += answers
            if start == 10 * 2 * IN_A_FORM and sys.platform == "linux":
                grown_from = resident_bytes()
        if grown_from:
            assert resident_bytes() - grown_from < 64 * 2**20
        assert service.state.admission.under_way == 0
        assert (await service.predict(jpeg_bytes())).status_code == 200
    assert len(statuses) == FILES
    assert set(statuses) <= {200, 400, 415, 422}
    # The damage is neither so light that all are read, nor so heavy that none is.
    assert min(statuses.count(200), statuses.count(422)) > FILES // 20


def test_the_same_seed_makes_the_same_file() -> None:
    assert [zlib.crc32(mutated(number)) for number in range(200)] == [
        zlib.crc32(mutated(number)) for number in range(200)
    ]
    assert len({mutated(number) for number in range(FILES)}) > 0.9 * FILES
