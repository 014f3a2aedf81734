"""Forms: whatever the body and however it is cut, the same images or an error about the request."""

from collections.abc import Iterator
from typing import Final

from lentigo_contract.errors import LentigoError
from lentigo_inference.api.requests.multipart import ImageForm

MAX_BYTES: Final = 4096
MAX_IMAGE_BYTES: Final = 512
MAX_IMAGES: Final = 3

_TYPE: Final = b"multipart/form-data; boundary="


def seeds() -> Iterator[bytes]:
    """Give inputs: the size of the pieces, the Content-Type, a line feed, and the body."""
    part = b'--edge\r\nContent-Disposition: form-data; name="image"\r\n\r\n%b\r\n'
    named = part.replace(b"\r\n\r\n", b'; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n')
    for body in (
        part % b"content",
        named % b"content",
        part % b"one" + part % b"two",
        part % b"\r\n--edg",
        b"preamble\r\n" + part % b"",
        part.replace(b"image", b"other") % b"content",
        part % bytes(600),
    ):
        yield b"\x07" + _TYPE + b"edge\n" + body + b"--edge--\r\n"
    yield b"\x01" + _TYPE + b'"edge"\n' + part % b"cut off"
    yield b"\x01" + _TYPE + b"e" * 80 + b"\n"
    yield b"\x01multipart/form-data\n"


def check(data: bytes) -> None:
    """Read a form in one piece and in several."""
    content_type, _, body = data[1:].partition(b"\n")
    size = max(1, data[0]) if data else 1
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    whole, cut = (_read(content_type.decode("latin-1"), each) for each in ([body], pieces))
    # Where they are refused, the reasons may differ: the pieces break off earlier.
    if whole is not None and cut is not None:
        assert whole == cut
    for images in (whole, cut):
        if images is not None:
            assert 1 <= len(images) <= MAX_IMAGES
            assert max(map(len, images)) <= MAX_IMAGE_BYTES
            assert sum(map(len, images)) <= len(body)


def _read(content_type: str, pieces: list[bytes]) -> list[bytes] | None:
    try:
        form = ImageForm(content_type, MAX_IMAGE_BYTES, MAX_IMAGES)
        for piece in pieces:
            form.feed(piece)
        return form.images()
    except LentigoError:
        return None
