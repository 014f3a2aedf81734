"""Pixels as JSON numbers are read as a JSON parser would, without its cost."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lentigo_inference.api.open_inference.json_pixels import MAX_DEPTH, cut_data, parse_pixels
from lentigo_inference.api.open_inference.schemas import InferRequest
from lentigo_inference.api.open_inference.tensors import (
    IMAGE_BYTES,
    MAX_PARSED_BYTES,
    parse_request,
)
from lentigo_inference.errors import MalformedRequestError

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 224, 224, 3), dtype=np.uint8)


def request(data: bytes, count: int = 4) -> bytes:
    shape = b"[%d,224,224,3]" % count
    tensor = b'{"name":"image","datatype":"UINT8","shape":%s,"data":%s}' % (shape, data)
    return b'{"inputs":[%s]}' % tensor


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": "), (" ,\n\t", " :\r\n")])
@pytest.mark.parametrize("nested", [True, False])
def test_four_images_flat_and_nested(separators: tuple[str, str], nested: bool) -> None:
    images = IMAGES[:2]
    data = (images if nested else images.ravel()).tolist()

    _, found = parse_request(request(json.dumps(data, separators=separators).encode(), 2), None)

    assert np.array_equal(np.stack(found), images)


WRONG = [
    b"",
    b" ",
    b"[]",
    b"[[]]",
    b"[1,]",
    b"[,1]",
    b"[1,,2]",
    b"[1 2,3]",
    b"[1]]",
    b"[[1]",
    b"[1],[2]",
    b"[[1],2]",
    b"[1,[2]]",
    b"[[1][2]]",
    b"[01]",
    b"[00,1]",
    b"[256]",
    b"[1000]",
    b"[99999999999999999999]",
    b"[[[[[1]]]]]",
    b"1",
    b"]1[",
]


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_list_of_pixels_is_refused(text: bytes) -> None:
    with pytest.raises(MalformedRequestError):
        parse_pixels(text, max(1, text.count(b",") + 1))


def depths(value: Any, depth: int = 0) -> set[int]:
    if isinstance(value, list):
        return set().union({-1} if not value else set(), *(depths(v, depth + 1) for v in value))
    return {depth}


def flat(value: Any) -> list[int]:
    return (
        [number for each in value for number in flat(each)] if isinstance(value, list) else [value]
    )


@given(st.text("0123 ,[]\n", max_size=24) | st.text("12,[]", min_size=3, max_size=12))
def test_it_accepts_what_json_does_and_nothing_else(content: str) -> None:
    text = f"[{content}]"
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    plain = value is not None and len(depths(value)) == 1 and -1 not in depths(value)
    expected = text.count(",") + 1

    if plain and max(depths(value)) <= MAX_DEPTH and all(0 <= n <= 255 for n in flat(value)):
        assert parse_pixels(text.encode(), expected).tolist() == flat(value)
    else:
        with pytest.raises(MalformedRequestError):
            parse_pixels(text.encode(), expected)


def test_a_member_of_that_name_inside_a_text_is_not_cut_out() -> None:
    body = json.dumps({"id": 'x "data":[1,2]', "data": [3]}).encode()

    rest, text = cut_data(body)

    assert text == b"[3]"
    assert json.loads(rest)["id"] == 'x "data":[1,2]'


def test_a_list_of_something_else_under_that_name_is_passed_over() -> None:
    body = b'{"parameters":{"data":[1,"x"]},"data" : [6, 7 ] , "id":"1"}'

    rest, text = cut_data(body)

    assert text == b"[6, 7 ]"
    assert rest == body.replace(b"[6, 7 ]", b"[]")


ATTACKS: dict[str, Callable[[], bytes]] = {
    "empty lists as pixels": lambda: request(b"[" + b"[]," * 1_000_000 + b"0]"),
    "empty lists as inputs": lambda: b'{"inputs":[' + b"[]," * 1_000_000 + b"0]}",
    "objects": lambda: request(b"[" + b"{}," * 1_000_000 + b"0]"),
    "texts": lambda: request(b"[" + b'"",' * 1_000_000 + b'""]'),
    "fractions": lambda: request(b"[" + b"0.5," * 800_000 + b"0]"),
    "too many numbers": lambda: request(b"[" + b"0," * 1_500_000 + b"0]"),
    "one endless number": lambda: request(b"[" + b"1" * 3_000_000 + b"]"),
    "keys": lambda: b'{"parameters":{%s}}' % b",".join(b'"%d":0' % n for n in range(250_000)),
    "data again and again": lambda: b'{"data":[0,' * 250_000,
    "data twice": lambda: b'{"data":[0],"inputs":[{"data":[%s0]}]}' % (b"0," * 1_000_000),
    "nested without end": lambda: b'{"inputs":' + b"[" * 3_000_000,
    "white space": lambda: b'{"data"' + b" " * 3_000_000 + b"}",
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_body_makes_a_parser_hold_up_the_service(
    attack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[int] = []
    validate = InferRequest.model_validate_json

    def measured(content: bytes) -> InferRequest:
        parsed.append(len(content))
        return validate(content)

    monkeypatch.setattr(InferRequest, "model_validate_json", measured)
    body = ATTACKS[attack]()
    assert len(body) > 2_000_000

    with pytest.raises(MalformedRequestError):
        parse_request(body, None)

    assert max(parsed, default=0) <= MAX_PARSED_BYTES


def test_the_largest_number_of_pixels_is_accepted() -> None:
    assert len(parse_pixels(b"[" + b"255," * (4 * IMAGE_BYTES - 1) + b"255]", 4 * IMAGE_BYTES))
