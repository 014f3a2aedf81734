import pytest

from lentigo_trainer.data.extra.licenses import License, parse_license, strictest


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("CC-0", "CC0"),
        ("CC0 1.0", "CC0"),
        ("Public Domain", "CC0"),
        ("CC-BY", "CC BY"),
        ("CC-BY-NC", "CC BY-NC"),
        ("cc by-nc 4.0", "CC BY-NC 4.0"),
        ("CC BY-SA-NC 3.0", "CC BY-NC-SA 3.0"),
        ("CC-BY-NC-ND", "CC BY-NC-ND"),
        ("https://creativecommons.org/licenses/by-nc-sa/4.0/", "CC BY-NC-SA 4.0"),
    ],
)
def test_a_licence_is_read_as_people_write_it(text: str, read: str) -> None:
    assert str(parse_license(text)) == read


@pytest.mark.parametrize("text", ["", "all rights reserved", "CC", "CC BY-XY", "BY-NC"])
def test_another_text_is_no_licence(text: str) -> None:
    assert parse_license(text) is None


def test_only_nd_forbids_derivatives() -> None:
    forbidding = [parse_license(f"CC {name}") for name in ("BY-ND", "BY-NC-ND", "BY-NC-SA", "BY")]
    assert [each is not None and each.forbids_derivatives for each in forbidding] == [
        True,
        True,
        False,
        False,
    ]


def test_the_strictest_licence_has_every_condition() -> None:
    licenses = [License(frozenset({"BY", "NC"}), "3.0"), License(frozenset({"BY", "SA"}), "4.0")]
    assert str(strictest(licenses)) == "CC BY-NC-SA 4.0"
    assert str(strictest([License(frozenset())])) == "CC0"
