"""Read request bodies into memory, within limits of size and time: images and small JSON.

Images come as a form or as the raw body. JSON is read with any Content-Type: clients of the Open
Inference Protocol send several or none, and often no body at all if every member has a default.
"""

import asyncio
import io
from typing import Final, Protocol, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from lentigo_contract.errors import ImageTooLargeError, LentigoError
from lentigo_inference.api.requests.multipart import FIELD, FRAMING_BYTES, ImageForm, too_large
from lentigo_inference.errors import (
    MalformedRequestError,
    UnsupportedContentTypeError,
    UploadTimeoutError,
)
from lentigo_inference.serving.limits.upload_memory import Hold

_FORM: Final = "multipart/form-data"
_OCTETS: Final = "application/octet-stream"


class _Body(Protocol):
    def feed(self, piece: bytes) -> None: ...

    def images(self) -> list[bytes]: ...


class _RawBody:
    """A body that is the image itself, with no form around it."""

    def __init__(self, max_image_bytes: int) -> None:
        self._max_image_bytes = max_image_bytes
        self._content = io.BytesIO()

    def feed(self, piece: bytes) -> None:
        if self._content.tell() + len(piece) > self._max_image_bytes:
            raise too_large(self._max_image_bytes)
        self._content.write(piece)

    def images(self) -> list[bytes]:
        return [self._content.getvalue()]


def _uncounted(_size: int) -> None:
    """Let a body pass that is small by its limit."""


async def read_body(
    request: Request,
    max_bytes: int,
    timeout_s: float,
    excess: LentigoError | None = None,
    *,
    hold: Hold = _uncounted,
) -> bytes:
    """Read a raw body of at most `max_bytes`; `hold` counts its bytes as they arrive.

    Raises:
        MalformedRequestError: Content-Length is not a number.
        UnsupportedContentTypeError: compressed.
        ImageTooLargeError: more bytes than allowed, unless `excess` is given, which is then
            raised instead.
        UploadTimeoutError: not complete in time.
        starlette.requests.ClientDisconnect: the client disconnected.
    """
    _refuse_compressed(request)
    body = _RawBody(max_bytes)
    await _receive(request, body, max_bytes, timeout_s, excess or too_large(max_bytes), hold)
    return body.images()[0]


async def read_uploads(
    request: Request,
    *,
    max_image_bytes: int,
    max_images: int,
    max_bytes: int,
    timeout_s: float,
    hold: Hold,
) -> list[bytes]:
    """Read the images of a form, at most `max_images` with at most `max_bytes` together.

    `hold` counts the bytes of the body as they arrive. Raises the same errors as `read_upload`.
    """
    content_type = request.headers.get("content-type", _OCTETS)
    _refuse_compressed(request)
    if _kind(content_type) != _FORM:
        raise UnsupportedContentTypeError(f'Send the images as {_FORM}, each in a field "{FIELD}".')
    form = ImageForm(content_type, max_image_bytes, max_images)
    excess = ImageTooLargeError(
        f"The form has more than {max_bytes:,} bytes. Send fewer or smaller images at a time."
    )
    await _receive(request, form, max_bytes + FRAMING_BYTES, timeout_s, excess, hold)
    return form.images()


async def read_upload(
    request: Request, max_image_bytes: int, timeout_s: float, *, hold: Hold
) -> bytes:
    """Read the one image of a request, sent as a form or as the raw body.

    A `Content-Length` above the limit is refused at once; otherwise the bytes are counted, by
    `hold` as well.

    Raises:
        MalformedRequestError: not the expected form.
        UnsupportedContentTypeError: neither a form nor an image.
        ImageTooLargeError: more bytes than allowed.
        UploadTimeoutError: not complete in time.
        starlette.requests.ClientDisconnect: the client disconnected.
    """
    body, limit = _expected_body(request, max_image_bytes)
    await _receive(request, body, limit, timeout_s, too_large(max_image_bytes), hold)
    return body.images()[0]


async def _receive(
    request: Request, body: _Body, limit: int, timeout_s: float, excess: LentigoError, hold: Hold
) -> None:
    """Feed the pieces of a request to a body; raises `excess` at more than `limit` bytes."""
    if _declared_length(request) > limit:
        raise excess
    size = 0
    try:
        async with asyncio.timeout(timeout_s):
            async for piece in request.stream():
                size += len(piece)
                if size > limit:
                    raise excess
                hold(len(piece))
                body.feed(piece)
    except TimeoutError as error:
        raise UploadTimeoutError(
            f"The body was not complete after {timeout_s:g} seconds. Send it again, or a smaller "
            "image."
        ) from error


def _expected_body(request: Request, max_image_bytes: int) -> tuple[_Body, int]:
    """Return the reader for this Content-Type, and the limit for the whole body in bytes."""
    content_type = request.headers.get("content-type", _OCTETS)
    kind = _kind(content_type)
    _refuse_compressed(request)
    if kind == _FORM:
        return ImageForm(content_type, max_image_bytes), max_image_bytes + FRAMING_BYTES
    if kind == _OCTETS or kind.startswith("image/"):
        return _RawBody(max_image_bytes), max_image_bytes
    raise UnsupportedContentTypeError(
        f'Send the image as {_FORM} in the field "{FIELD}", or as the raw body with the '
        f"Content-Type image/jpeg, image/png, another image type or {_OCTETS}."
    )


def _kind(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _refuse_compressed(request: Request) -> None:
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise UnsupportedContentTypeError(
            "The body is compressed (Content-Encoding). Send it uncompressed."
        )


def _declared_length(request: Request) -> int:
    text = request.headers.get("content-length", "0")
    try:
        return int(text)
    except ValueError as error:
        raise MalformedRequestError("Content-Length is not a number.") from error


M = TypeVar("M", bound=BaseModel)

# A usual body has a few hundred bytes.
_MAX_JSON_BYTES: Final = 64 * 2**10


async def read_json(request: Request, schema: type[M], timeout_s: float) -> M:
    """Read a JSON body; an empty one counts as `{}`.

    Raises:
        MalformedRequestError: too long, not JSON, or not as the schema says.
        UnsupportedContentTypeError: compressed.
        UploadTimeoutError: not complete in time.
        starlette.requests.ClientDisconnect: the client disconnected.
    """
    excess = MalformedRequestError(f"The body has more than {_MAX_JSON_BYTES:,} bytes of JSON.")
    body = await read_body(request, _MAX_JSON_BYTES, timeout_s, excess)
    try:
        return schema.model_validate_json(body.strip() or b"{}")
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "body"
        raise MalformedRequestError(
            f"The JSON body is not as expected: {place}: {first['msg']}."
        ) from error
