from typing import get_args

import pytest

from lentigo_contract.description.asymmetry import Asymmetry, Axis
from lentigo_contract.description.border import Border, Sector
from lentigo_contract.description.colours import Colours
from lentigo_contract.description.describe import Diameter, Reason
from lentigo_contract.description.wording import (
    REASONS,
    asymmetry_sentence,
    border_sentence,
    colours_sentence,
    diameter_sentence,
)


def axis(shape: float) -> Axis:
    return Axis(0.0, ((0.0, 0.0), (1.0, 1.0)), shape, 0.0)


@pytest.mark.parametrize(
    ("shapes", "begin"),
    [((0, 0), "Symmetric"), ((0, 1), "Asymmetric about one"), ((1, 1), "Asymmetric about both")],
)
def test_asymmetry_in_words(shapes: tuple[float, float], begin: str) -> None:
    one, other = shapes
    assert asymmetry_sentence(Asymmetry((axis(one), axis(other)))).startswith(begin)


def test_a_border_in_words() -> None:
    sharp, soft, unseen = Sector((), 0.9), Sector((), 0.1), Sector((), None)
    whole = Border((sharp,) * 3 + (soft,) * 5, 1.0)
    assert border_sentence(whole) == "The pigment ends abruptly in 3 of 8 sectors."
    part = Border((sharp,) * 3 + (soft,) * 3 + (unseen,) * 2, 1.0)
    assert border_sentence(part) == (
        "The pigment ends abruptly in 3 of 8 sectors; 2 cannot be seen."
    )


def test_colours_in_words() -> None:
    assert colours_sentence(Colours((0, 0, 0.61, 0.2, 0, 0.02))) == (
        "2 colours of six: light brown (61%), dark brown (20%)."
    )
    assert colours_sentence(Colours((0,) * 6)).startswith("None of the six colours")


def test_a_diameter_in_words_says_that_pixels_are_no_millimetres() -> None:
    said = diameter_sentence(Diameter(312.4, ((0, 0), (312.4, 0))), 0.18)
    assert said.startswith("312 pixels across at its widest, and 18% of the picture.")
    assert "millimetres" in said


def test_every_reason_has_a_sentence() -> None:
    assert set(REASONS) == set(get_args(Reason))
