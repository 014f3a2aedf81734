"""Tensors of `infer`: whatever the body, images or an error about the request.

The pixels in JSON, which no JSON parser sees, must be what a JSON parser would make of them.
"""

import itertools
import json
from collections.abc import Iterator
from typing import Final

import numpy as np

from fuzz.json_edits import edited
from lentigo_inference.api.open_inference.json_pixels import MAX_DEPTH, parse_pixels
from lentigo_inference.api.open_inference.tensors import IMAGE_BYTES, parse_request
from lentigo_inference.errors import MalformedRequestError

MAX_BYTES: Final = IMAGE_BYTES + 2**10

_PIXELS: Final = b"p"
_EDITS: Final = b"e"
_REQUEST: Final = {
    "id": "1",
    "parameters": {"binary_data_output": True},
    "inputs": [
        {
            "name": "image",
            "datatype": "UINT8",
            "shape": [1, 224, 224, 3],
            "parameters": {"binary_data_size": IMAGE_BYTES},
        }
    ],
    "outputs": [
        {"name": "probabilities", "parameters": {"binary_data": True}},
        {"name": "activation_map"},
    ],
}


def seeds() -> Iterator[bytes]:
    """Give inputs.

    They are "p", how many pixels, and their text; "b" or "j", header length, line feed, and a body;
    or "e" and edits of a request.
    """
    for text in (
        b"[1,2,3,255]",
        b"[[1,2],[3,255]]",
        b"[[[[0]],[[10]]],[[[200]],[[0]]]]",
        b" [ 1 ,\n2,\t3,4 ] ",
        b"[1,2,3,256]",
        b"[01,2,3,4]",
        b"[1 2,2,3,4]",
        b"[[],1,2,3,4]",
        b"[1,2],[3,4]",
    ):
        yield _PIXELS + b"\x04" + text
    head = json.dumps(_REQUEST).encode()
    yield b"b%d\n%b" % (len(head), head + bytes(IMAGE_BYTES))
    for place in range(24):
        yield _EDITS + bytes((0, place, place))
    shape = {"name": "image", "datatype": "UINT8", "shape": [1, 224, 224, 3]}
    yield b"j\n" + json.dumps({"inputs": [{**shape, "data": [1, 2, 3]}]}).encode()
    yield (
        b"j\n" + b'{"inputs":[{"name":"image","data":[[1,2],[3]],"shape":[1],"datatype":"UINT8"}]}'
    )


def check(data: bytes) -> None:
    """Read pixels, or a request."""
    if data[:1] == _PIXELS and len(data) > 1:
        _check_pixels(data[2:], data[1])
        return
    header, _, body = data[1:].partition(b"\n")
    length = header.decode("latin-1") if data[:1] == b"b" else None
    if data[:1] == _EDITS:
        head = edited(_REQUEST, data[1:])
        body, length = head + bytes(IMAGE_BYTES), str(len(head))
    try:
        request, images = parse_request(body, length)
    except MalformedRequestError:
        return
    # What the answer is made from.
    assert len({output.name for output in request.outputs or ()}) == len(request.outputs or ())
    assert images
    assert {(each.shape, each.dtype.name) for each in images} == {((224, 224, 3), "uint8")}


def _check_pixels(text: bytes, expected: int) -> None:
    try:
        found = parse_pixels(text, expected).tolist()
    except MalformedRequestError:
        found = None
    assert found == _by_json(text, expected)


def _by_json(text: bytes, expected: int) -> list[int] | None:
    """Read the pixels with a JSON parser; None if they are none."""
    if b"-" in text:
        # JSON's -0 is a whole number, and never cut out of a request.
        return None
    try:
        # UTF-16 is JSON for Python, and not for the service.
        values = json.loads(text.decode("ascii"))
    except (ValueError, RecursionError):
        return None
    for _ in range(MAX_DEPTH):
        if not isinstance(values, list):
            return None
        if not any(isinstance(each, list) for each in values):
            break
        if not all(isinstance(each, list) and each for each in values):
            return None
        values = list(itertools.chain.from_iterable(values))
    right = all(type(each) is int and 0 <= each <= 255 for each in values)
    return values if right and len(values) == expected and np.size(values) else None
