"""The image of a request, in memory, read no further than the limits allow."""

import asyncio
import io
from typing import Final, Protocol

from starlette.requests import Request

from lentigo_contract.errors import (
    MalformedRequestError,
    UnsupportedContentTypeError,
    UploadTimeoutError,
)
from lentigo_inference.multipart import FIELD, FRAMING_BYTES, ImageForm, too_large

_FORM: Final = "multipart/form-data"
_OCTETS: Final = "application/octet-stream"


class _Body(Protocol):
    def feed(self, piece: bytes) -> None: ...

    def images(self) -> list[bytes]: ...


class _RawBody:
    """A body that is the image itself."""

    def __init__(self, max_image_bytes: int) -> None:
        self._max_image_bytes = max_image_bytes
        self._content = io.BytesIO()

    def feed(self, piece: bytes) -> None:
        if self._content.tell() + len(piece) > self._max_image_bytes:
            raise too_large(self._max_image_bytes)
        self._content.write(piece)

    def images(self) -> list[bytes]:
        return [self._content.getvalue()]


async def read_upload(request: Request, max_image_bytes: int, timeout_s: float) -> bytes:
    """Read the one image of a request, sent as a form or as the raw body.

    `Content-Length` is believed only when it already says too much; the bytes are counted.

    Raises:
        MalformedRequestError: not the form we expect.
        UnsupportedContentTypeError: neither a form nor an image.
        ImageTooLargeError: more bytes than allowed.
        UploadTimeoutError: not complete in time.
        starlette.requests.ClientDisconnect: the client went away.
    """
    body, limit = _expected_body(request, max_image_bytes)
    if _declared_length(request) > limit:
        raise too_large(max_image_bytes)
    size = 0
    try:
        async with asyncio.timeout(timeout_s):
            async for piece in request.stream():
                size += len(piece)
                if size > limit:
                    raise too_large(max_image_bytes)
                body.feed(piece)
    except TimeoutError as error:
        raise UploadTimeoutError(
            f"The upload was not complete after {timeout_s:g} seconds. Send it again, or a smaller "
            "image."
        ) from error
    return body.images()[0]


def _expected_body(request: Request, max_image_bytes: int) -> tuple[_Body, int]:
    """Give what reads this kind of body, and how long the whole body may be, in bytes."""
    content_type = request.headers.get("content-type", _OCTETS)
    kind = content_type.partition(";")[0].strip().lower()
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise UnsupportedContentTypeError(
            "The body is compressed (Content-Encoding). Send the image file as it is."
        )
    if kind == _FORM:
        return ImageForm(content_type, max_image_bytes), max_image_bytes + FRAMING_BYTES
    if kind == _OCTETS or kind.startswith("image/"):
        return _RawBody(max_image_bytes), max_image_bytes
    raise UnsupportedContentTypeError(
        f'Send the image as {_FORM} in the field "{FIELD}", or as the raw body with the '
        f"Content-Type image/jpeg, image/png, another image type or {_OCTETS}."
    )


def _declared_length(request: Request) -> int:
    text = request.headers.get("content-length", "0")
    try:
        return int(text)
    except ValueError as error:
        raise MalformedRequestError("Content-Length is not a number.") from error
