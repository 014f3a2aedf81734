"""Pixels written as JSON numbers, read without making an object of each.

A JSON parser makes an object of every number and list and lets nobody else run meanwhile: three
megabytes of `[]` stopped the whole service for more than a second. So the array of pixels is cut
out of the JSON and read by numpy, in passes that take milliseconds and let other threads run; what
remains is short.
"""

import re
from typing import Final

import numpy as np
import numpy.typing as npt

from lentigo_inference.errors import MalformedRequestError

MAX_DEPTH: Final = 4

# The beginning of a member "data", as far as it has nothing but numbers and lists. A quote that a
# backslash escapes belongs to a text. It never goes back, which would hold up all other threads.
_DATA: Final = re.compile(rb'(?<!\\)"data"\s*+:\s*+(\[[\d,\[\]\s]*+)')

# What a byte can be; JSON (RFC 8259) has no other whitespace.
_DIGIT, _COMMA, _OPEN, _CLOSE, _SPACE, _OTHER = range(6)
_CLASSES: Final = np.full(256, _OTHER, np.uint8)
_CLASSES[np.frombuffer(b"0123456789", np.uint8)] = _DIGIT
_CLASSES[ord(",")], _CLASSES[ord("[")], _CLASSES[ord("]")] = _COMMA, _OPEN, _CLOSE
_CLASSES[np.frombuffer(b" \t\r\n", np.uint8)] = _SPACE

# Which may follow which: rows before columns. An empty list holds no pixel, and is refused.
_FOLLOWS: Final = np.zeros((6, 6), np.bool_)
_FOLLOWS[_DIGIT, [_DIGIT, _COMMA, _CLOSE]] = True
_FOLLOWS[_COMMA, [_DIGIT, _OPEN]] = True
_FOLLOWS[_OPEN, [_DIGIT, _OPEN]] = True
_FOLLOWS[_CLOSE, [_COMMA, _CLOSE]] = True

_MOST_DIGITS: Final = 3
_LARGEST: Final = 255


def cut_data(json: bytes) -> tuple[bytes, bytes | None]:
    """Return the JSON with an empty list for its pixels, and the text of the pixels if it has any.

    Only the first such member is cut out.
    """
    for found in _DATA.finditer(json):
        start, end = found.start(1), json.rfind(b"]", *found.span(1)) + 1
        if end:
            return b"".join((json[:start], b"[]", json[end:])), json[start:end]
    return json, None


def parse_pixels(text: bytes, expected: int) -> npt.NDArray[np.uint8]:
    """Read a list of whole numbers from 0 to 255, flat or nested up to four deep.

    Args:
        text: the list.
        expected: how many numbers it must have.

    Returns:
        uint8 [expected], the numbers in their order.

    Raises:
        MalformedRequestError: it is none, or has more or fewer.
    """
    # There is a comma between any two, and to count them costs nothing.
    found = text.count(b",") + 1
    if found != expected:
        raise MalformedRequestError(
            f"The data have {found:,} numbers; the shape needs {expected:,}."
        )
    characters = np.frombuffer(text, np.uint8)
    classes = _CLASSES[characters]
    places = np.flatnonzero(classes != _SPACE)
    if len(places) == 0:
        raise _not_pixels()
    characters, classes = characters[places], classes[places]
    before, after = classes[:-1], classes[1:]
    # Two digits with a space in between are two numbers without a comma.
    parted = (before == _DIGIT) & (after == _DIGIT) & (np.diff(places) > 1)
    if not _FOLLOWS[before, after].all() or parted.any():
        raise _not_pixels()
    depth = np.cumsum((classes == _OPEN).astype(np.int8) - (classes == _CLOSE), dtype=np.int32)
    starts = np.flatnonzero((after == _DIGIT) & (before != _DIGIT)) + 1
    depths = depth[starts]
    if depth[-1] != 0 or depth[:-1].min(initial=1) < 1 or len(starts) == 0 or np.ptp(depths) != 0:
        raise _not_pixels()
    if depths[0] > MAX_DEPTH:
        raise _not_pixels()
    return _numbers(characters, classes == _DIGIT, starts)


def _numbers(
    characters: npt.NDArray[np.uint8], is_digit: npt.NDArray[np.bool_], starts: npt.NDArray[np.intp]
) -> npt.NDArray[np.uint8]:
    """Read the numbers that begin at `starts`."""
    ends = np.flatnonzero(is_digit[:-1] & ~is_digit[1:]) + 1
    lengths = ends - starts
    leading_zero = (characters[starts] == ord("0")) & (lengths > 1)
    if lengths.max() > _MOST_DIGITS or leading_zero.any():
        raise _not_pixels()
    values = np.zeros(len(starts), np.int32)
    for place in range(_MOST_DIGITS):
        has_digit = lengths > place
        digits = characters[np.minimum(starts + place, ends - 1)].astype(np.int32) - ord("0")
        values = np.where(has_digit, 10 * values + digits, values)
    if values.max() > _LARGEST:
        raise _not_pixels()
    return values.astype(np.uint8)


def _not_pixels() -> MalformedRequestError:
    return MalformedRequestError(
        "The data must be whole numbers from 0 to 255, flat or nested as the shape says."
    )
