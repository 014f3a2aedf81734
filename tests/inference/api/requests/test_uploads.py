import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import NoReturn

import httpx
import numpy as np
import pytest
import structlog
from PIL import Image
from starlette.types import Message

from lentigo_contract.imaging.read import read_image
from lentigo_contract.labels import CODES
from lentigo_contract.repository.store import ModelStore
from lentigo_inference.settings import Settings
from tests.fakes import jpeg_bytes, lesion_image
from tests.images import encoded, exif_block, png_chunk, png_file, png_header, png_pixels
from tests.inference.live_app import PREDICTIONS, Running, problem_of, running
from tests.models import expected, publish_plain

pytestmark = pytest.mark.anyio


def animated_gif() -> bytes:
    frames = [lesion_image(seed, size=(64, 64)) for seed in (1, 2)]
    return encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])


@dataclass(frozen=True)
class Hostile:
    data: bytes
    status: int
    problem: str


HOSTILE = {
    "an empty body": Hostile(b"", 400, "empty-image"),
    "text": Hostile(b"not an image at all", 415, "unsupported-image"),
    "a truncated JPEG": Hostile(jpeg_bytes()[:2000], 422, "undecodable-image"),
    "a PNG bomb": Hostile(
        png_file(png_header(30_000, 30_000), png_chunk(b"IDAT", bytes(64))), 422, "image-bounds"
    ),
    "an animated GIF": Hostile(animated_gif(), 415, "unsupported-image"),
    "a single pixel": Hostile(encoded(Image.new("RGB", (1, 1)), "PNG"), 422, "image-bounds"),
    "random bytes": Hostile(np.random.default_rng(1).bytes(5000), 415, "unsupported-image"),
}


@pytest.fixture
def settings(settings: Settings, store: ModelStore) -> Settings:
    publish_plain(store, 1)
    return settings


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("form", [True, False], ids=["form", "raw"])
async def test_a_hostile_upload_is_refused_and_the_next_good_one_served(
    settings: Settings, name: str, form: bool
) -> None:
    hostile = HOSTILE[name]
    async with running(settings) as service:
        refused = (
            await service.client.post(PREDICTIONS, files={"image": ("x.jpg", hostile.data)})
            if form
            else await service.predict(hostile.data)
        )
        assert refused.status_code == hostile.status
        assert problem_of(refused)["type"] == f"urn:lentigo:problem:{hostile.problem}"
        assert (await service.predict()).status_code == 200


async def test_among_hostile_uploads_at_concurrency_32_each_answer_is_that_of_its_request(
    settings: Settings,
) -> None:
    """Told by request id, digest and the network's own answer: none is lost, none mixed up."""
    plain = lesion_image(40, "bkl")
    good = [
        *(jpeg_bytes(lesion_image(seed, code)) for seed, code in enumerate(CODES)),
        encoded(plain.convert("CMYK"), "JPEG"),
        encoded(plain.convert("RGBA"), "PNG"),
        encoded(plain, "TIFF"),
        png_file(
            png_header(64, 64, depth=16),
            png_pixels(np.full((64, 64, 3), 0x8000, ">u2")),
        ),
        encoded(plain, "JPEG", exif=exif_block(6)),
    ]
    pixels = np.stack([read_image(data).pixels for data in good])
    truth = expected(pixels, 1).probabilities
    hostile = list(HOSTILE.values())
    many = settings.model_copy(update={"max_upload_bytes": 500_000})

    async def ask(service: Running, turn: int) -> None:
        id_ = f"turn-{turn}"
        headers = {"X-Request-ID": id_, "Content-Type": "application/octet-stream"}
        post = service.client.post
        which = turn // 2
        if turn % 7 == 3:
            body = pieces(40, 65_536, [])
            response = await post(
                PREDICTIONS, content=body, headers={**headers, "Content-Length": "10"}
            )
            assert response.status_code == 413
        elif turn % 7 == 5:
            response = await post(
                PREDICTIONS, files={"lesion": good[0]}, headers={"X-Request-ID": id_}
            )
            assert response.status_code == 400
        elif turn % 2:
            upload = hostile[which % len(hostile)]
            response = await post(PREDICTIONS, content=upload.data, headers=headers)
            assert response.status_code == upload.status
            assert problem_of(response)["type"].endswith(upload.problem)
        else:
            place = which % len(good)
            # One is of a single grey, which nobody can judge.
            url = f"{PREDICTIONS}?force=true"
            response = await post(url, content=good[place], headers=headers)
            answer = response.json()
            assert answer["image"]["sha256"] == hashlib.sha256(good[place]).hexdigest()
            served = {entry["code"]: entry["probability"] for entry in answer["probabilities"]}
            assert [served[code] for code in CODES] == pytest.approx(truth[place], abs=1e-5)
        assert response.headers["x-request-id"] == id_

    async with running(many) as service:
        turns = iter(range(320))

        async def client() -> None:
            for turn in turns:
                await ask(service, turn)

        async with asyncio.TaskGroup() as group:
            for _ in range(32):
                group.create_task(client())
        assert service.state.admission.under_way == 0


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/json", "application/x-www-form-urlencoded", ""]
)
async def test_a_content_type_we_do_not_read_is_415(settings: Settings, content_type: str) -> None:
    async with running(settings) as service:
        response = await service.client.post(
            PREDICTIONS, content=jpeg_bytes(), headers={"Content-Type": content_type}
        )
    assert response.status_code == 415
    assert "image/jpeg" in problem_of(response)["detail"]


async def test_a_compressed_body_is_415(settings: Settings) -> None:
    async with running(settings) as service:
        response = await service.client.post(
            PREDICTIONS,
            content=jpeg_bytes(),
            headers={"Content-Type": "image/jpeg", "Content-Encoding": "gzip"},
        )
    assert response.status_code == 415
    assert "Content-Encoding" in problem_of(response)["detail"]


async def pieces(count: int, size: int, read: list[int]) -> AsyncIterator[bytes]:
    for _ in range(count):
        read.append(size)
        yield bytes(size)


@pytest.mark.parametrize("declared", ["10", "1000"])
@pytest.mark.parametrize("content_type", ["image/jpeg", "multipart/form-data; boundary=b"])
async def test_bytes_are_counted_whatever_content_length_says(
    settings: Settings, declared: str, content_type: str
) -> None:
    settings = settings.model_copy(update={"max_upload_bytes": 100_000})
    read: list[int] = []
    start = b'--b\r\nContent-Disposition: form-data; name="image"\r\n\r\n'

    async def body() -> AsyncIterator[bytes]:
        if content_type.startswith("multipart"):
            yield start
        async for piece in pieces(1600, 65_536, read):
            yield piece

    async with running(settings) as service:
        response = await service.client.post(
            PREDICTIONS,
            content=body(),
            headers={"Content-Type": content_type, "Content-Length": declared},
        )
        assert response.status_code == 413
        assert problem_of(response)["type"] == "urn:lentigo:problem:image-too-large"
        assert sum(read) < 300_000
        assert (await service.predict()).status_code == 200


async def test_a_content_length_above_the_limit_is_refused_unread(settings: Settings) -> None:
    read: list[int] = []
    async with running(settings) as service:
        response = await service.client.post(
            PREDICTIONS,
            content=pieces(10, 10, read),
            headers={"Content-Type": "image/jpeg", "Content-Length": str(100 * 2**20)},
        )
    assert response.status_code == 413
    assert read == []


async def test_bytes_after_the_end_of_a_form_are_refused(settings: Settings) -> None:
    settings = settings.model_copy(update={"max_upload_bytes": 1024})
    epilogue = b"--b--" + bytes(200_000)
    async with running(settings) as service:
        response = await service.client.post(
            PREDICTIONS,
            content=pieces_of(epilogue),
            headers={"Content-Type": "multipart/form-data; boundary=b"},
        )
    assert response.status_code in {400, 413}
    problem_of(response)


async def pieces_of(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 1000):
        yield data[start : start + 1000]


async def test_an_image_of_just_the_largest_size_is_read(settings: Settings) -> None:
    data = jpeg_bytes()
    settings = settings.model_copy(update={"max_upload_bytes": len(data)})
    async with running(settings) as service:
        assert (await service.predict(data)).status_code == 200
        assert (await service.predict(data + b"\0")).status_code == 413
        form = await service.client.post(PREDICTIONS, files={"image": data})
        assert form.status_code == 200


async def test_an_endless_upload_times_out(settings: Settings) -> None:
    settings = settings.model_copy(update={"upload_timeout_s": 0.05})

    async def never_ends() -> AsyncIterator[bytes]:
        yield jpeg_bytes()[:100]
        await asyncio.Event().wait()

    async with running(settings) as service:
        response = await service.client.post(
            PREDICTIONS, content=never_ends(), headers={"Content-Type": "image/jpeg"}
        )
        assert response.status_code == 408
        assert response.headers["connection"] == "close"
        problem_of(response)
        # Another upload would have as little time, and so be refused by chance on a busy machine.
        assert service.state.admission.under_way == 0


async def test_a_large_form_never_touches_the_disk(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object, **_options: object) -> NoReturn:
        raise AssertionError("an image was about to be written to disk")

    for name in ("SpooledTemporaryFile", "TemporaryFile", "NamedTemporaryFile", "mkstemp"):
        monkeypatch.setattr(tempfile, name, refuse)
    noise = np.random.default_rng(1).integers(0, 256, (1200, 1200, 3), dtype=np.uint8)
    large = encoded(Image.fromarray(noise), "PNG")
    assert len(large) > 4 * 2**20
    async with running(settings) as service:
        response = await service.client.post(PREDICTIONS, files={"image": large})
    assert response.status_code == 200


async def test_a_disconnected_client_frees_its_place(settings: Settings) -> None:
    settings = settings.model_copy(update={"max_pending": 1})
    messages: list[Message] = [
        {"type": "http.request", "body": b"\xff\xd8", "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Message:
        return messages.pop(0)

    async def send(_message: Message) -> None:
        """Nobody is there to take it."""

    async with running(settings) as service:
        scope = {
            "type": "http",
            "method": "POST",
            "path": PREDICTIONS,
            "raw_path": PREDICTIONS.encode(),
            "query_string": b"",
            "root_path": "",
            "scheme": "http",
            "http_version": "1.1",
            "headers": [(b"content-type", b"image/jpeg")],
            "state": {"app_state": service.state},
        }
        with structlog.testing.capture_logs() as logs:
            await service.app(scope, receive, send)
        assert (await service.predict()).status_code == 200
    assert messages == []
    assert [(entry["event"], entry["status"]) for entry in logs] == [("request", 499)]


async def test_requests_above_max_pending_are_refused_at_once_with_retry_after(
    settings: Settings,
) -> None:
    settings = settings.model_copy(update={"max_pending": 2})
    release = asyncio.Event()
    begun = asyncio.Semaphore(0)

    async def held() -> AsyncIterator[bytes]:
        begun.release()
        await release.wait()
        yield jpeg_bytes()

    async with running(settings) as service:
        headers = {"Content-Type": "image/jpeg"}
        waiting = [
            asyncio.create_task(service.client.post(PREDICTIONS, content=held(), headers=headers))
            for _ in range(2)
        ]
        for _ in waiting:
            await asyncio.wait_for(begun.acquire(), 30)
        refused = await service.predict()
        release.set()
        answers: list[httpx.Response] = await asyncio.gather(*waiting)
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) >= 1
    assert problem_of(refused)["type"] == "urn:lentigo:problem:busy"
    assert [answer.status_code for answer in answers] == [200, 200]
