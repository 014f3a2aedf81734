"""Read images from a `multipart/form-data` body, in memory and within limits.

The usual form parsers write larger files to a temporary folder. An uploaded image must never reach
a disk, so this uses the streaming parser of python-multipart directly.
"""

import io
from typing import Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from lentigo_contract.errors import ImageTooLargeError
from lentigo_inference.errors import MalformedRequestError

FIELD: Final = "image"

# A boundary has 70 characters at most, and looking for it among 12,000 parameters takes 15 ms.
_MAX_CONTENT_TYPE: Final = 1024
_MAX_HEADERS: Final = 8
_MAX_HEADER_BYTES: Final = 4096

# Boundaries, headers, and anything before and after the parts.
FRAMING_BYTES: Final = 64 * 2**10

# RFC 2046, section 5.1.1: the delimiter must not appear in a part. A few may appear by chance. The
# parser is slow there, byte by byte, so a body full of them would block the service for seconds.
_STRAY_DELIMITERS: Final = 8

_MALFORMED: Final = (
    "The multipart body is malformed. Let an HTTP client build it, such as "
    f"curl -F {FIELD}=@lesion.jpg."
)


class ImageForm:
    """Parse a form piece by piece, and keep the content of its parts named `image`.

    File names are skipped and never stored, because they may name a patient.
    """

    def __init__(self, content_type: str, max_image_bytes: int, max_images: int = 1) -> None:
        """Prepare for a body with this `Content-Type`.

        Raises:
            MalformedRequestError: the header has no usable boundary, or is far too long.
        """
        if len(content_type) > _MAX_CONTENT_TYPE:
            raise MalformedRequestError(
                f"The Content-Type has more than {_MAX_CONTENT_TYPE:,} characters. Let the HTTP "
                "client set that header."
            )
        self._max_image_bytes = max_image_bytes
        self._max_images = max_images
        self._images: list[io.BytesIO] = []
        self._size = 0
        self._framing = 0
        self._delimiters = 0
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._disposition = b""
        self._complete = False
        boundary = parse_options_header(content_type)[1].get(b"boundary") or _no_boundary()
        self._delimiter = b"\r\n--" + boundary
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._on_part_begin,
                    "on_header_begin": self._on_header_begin,
                    "on_header_field": self._on_header_field,
                    "on_header_value": self._on_header_value,
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_headers_finished,
                    "on_part_data": self._on_part_data,
                    "on_end": self._on_end,
                },
                max_header_count=_MAX_HEADERS,
                max_header_size=_MAX_HEADER_BYTES,
            )
        except FormParserError as error:
            raise MalformedRequestError(
                "The multipart boundary is too long; RFC 2046 allows 70 characters."
            ) from error

    def feed(self, piece: bytes) -> None:
        """Parse the next piece of the body.

        Raises:
            MalformedRequestError: not multipart, a field other than `image`, or too many of them.
            ImageTooLargeError: an image has more bytes than allowed.
        """
        self._delimiters += piece.count(self._delimiter)
        if self._delimiters > self._max_images + _STRAY_DELIMITERS:
            raise MalformedRequestError(_MALFORMED)
        # The content of parts is subtracted again in `_on_part_data`.
        self._framing += len(piece)
        try:
            self._parser.write(piece)
        except FormParserError as error:
            raise MalformedRequestError(_MALFORMED) from error
        if self._framing > FRAMING_BYTES:
            raise MalformedRequestError(_MALFORMED)

    def images(self) -> list[bytes]:
        """Return the images, at least one, after the whole body was fed.

        Raises:
            MalformedRequestError: the body was cut off, or has no part named `image`.
        """
        if not self._complete:
            raise MalformedRequestError("The multipart body is cut off. Send it again.")
        if not self._images:
            raise MalformedRequestError(
                f'The form is empty. Send the image in the field "{FIELD}".'
            )
        return [image.getvalue() for image in self._images]

    def _on_part_begin(self) -> None:
        self._disposition = b""
        self._size = 0

    def _on_header_begin(self) -> None:
        self._header_name.clear()
        self._header_value.clear()

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = bytes(self._header_value)

    def _on_headers_finished(self) -> None:
        name = parse_options_header(self._disposition)[1].get(b"name", b"")
        if name != FIELD.encode():
            raise MalformedRequestError(
                "The form has an unexpected field. Send the image in the field "
                f'"{FIELD}", and no other field.'
            )
        if len(self._images) == self._max_images:
            raise MalformedRequestError(
                f'The form has the field "{FIELD}" more than {_times(self._max_images)}. '
                f"Send at most {self._max_images} of it."
            )
        self._images.append(io.BytesIO())

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._size += end - start
        self._framing -= end - start
        if self._size > self._max_image_bytes:
            raise too_large(self._max_image_bytes)
        self._images[-1].write(memoryview(data)[start:end])

    def _on_end(self) -> None:
        self._complete = True


def too_large(limit: int) -> ImageTooLargeError:
    """Return the error for an image of more than `limit` bytes."""
    return ImageTooLargeError(f"The image has more than {limit:,} bytes. Send a smaller one.")


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _no_boundary() -> bytes:
    raise MalformedRequestError(
        "The Content-Type multipart/form-data has no boundary. Let the HTTP client set that header."
    )
