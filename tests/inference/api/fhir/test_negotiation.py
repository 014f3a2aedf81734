"""Which media type `Accept` asks for (RFC 9110, section 12.5.1)."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from lentigo_inference.api.fhir.negotiation import negotiate
from lentigo_inference.errors import NotAcceptableError

JSON, FHIR = "application/json", "application/fhir+json"


def choose(*accept: str) -> str:
    headers = [(b"accept", each.encode("latin-1")) for each in accept]
    return negotiate(Request({"type": "http", "headers": headers}), (JSON, FHIR))


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        ("application/json", JSON),
        ("application/fhir+json", FHIR),
        ("APPLICATION/FHIR+JSON", FHIR),
        ("application/fhir+json; fhirVersion=4.0", FHIR),
        ('application/fhir+json; fhirVersion="4.0"; charset=utf-8', FHIR),
        ("application/fhir+json, */*;q=0.1", FHIR),
        ("application/json;q=0.5, application/fhir+json", FHIR),
        ("application/json;q=0.9, application/fhir+json;q=0.8", JSON),
        ("application/fhir+json, application/json", JSON),
        ("application/json;q=0, */*", FHIR),
        ("application/fhir+json;q=0.001", FHIR),
        ("text/html, application/xhtml+xml, */*;q=0.8", JSON),
        ("application/*;q=0.2, application/fhir+json;q=0.3", FHIR),
        ("application/fhir+json ; q=1.000 , text/plain", FHIR),
        ("application/json;indent=2", JSON),
        # The most specific range counts, also where a wider one weighs more.
        ("*/*;q=1, application/json;q=0.1", FHIR),
    ],
)
def test_the_type_with_the_highest_weight_is_chosen(accept: str, chosen: str) -> None:
    assert choose(accept) == chosen


@pytest.mark.parametrize(
    "accept",
    [
        "text/html",
        "application/fhir+xml",
        "application/json;q=0",
        "application/fhir+json;fhirVersion=5.0",
        "application/json;q=0, application/fhir+json;q=0.0",
        "*/*;q=0",
        "image/*",
    ],
)
def test_what_there_is_none_of_is_refused(accept: str) -> None:
    with pytest.raises(NotAcceptableError, match=r"application/json, application/fhir\+json"):
        choose(accept)


@pytest.mark.parametrize(
    "accept", ["json", "*/json", "application/json;q=2", "application/json;q=x", ";;,", "a/b;c"]
)
def test_a_header_of_which_nothing_can_be_read_accepts_everything(accept: str) -> None:
    assert choose(accept) == JSON


def test_what_is_malformed_is_left_out() -> None:
    assert choose("/;q, application/fhir+json, x;;=") == FHIR


def test_several_headers_are_one_list() -> None:
    assert choose("text/html", "application/fhir+json") == FHIR


def test_a_comma_within_quotation_marks_ends_nothing() -> None:
    assert choose('application/fhir+json; x="a,b;c"') == FHIR


def test_no_header_accepts_everything() -> None:
    assert choose() == JSON


@given(st.text(st.characters(max_codepoint=255), max_size=200))
def test_no_header_breaks_it(accept: str) -> None:
    with contextlib.suppress(NotAcceptableError):
        assert choose(accept) in (JSON, FHIR)


def test_a_long_header_of_quotation_marks_is_left_out() -> None:
    assert choose("a/b;" * 5_000 + '"' * 5_000) == JSON


def test_what_stands_far_behind_in_a_long_header_is_not_looked_at() -> None:
    assert choose("application/json;q=0.5," + " " * 5_000 + "application/fhir+json") == JSON
