import hashlib

import pytest
from pydantic import ValidationError

from lentigo_contract.manifest.engines import Golden, GoldenAnswer, golden_images
from tests.fakes import made_golden


def test_the_pictures_are_the_same_for_ever() -> None:
    pictures = golden_images(seed=1, count=3)
    assert (pictures.shape, pictures.dtype.name) == ((3, 224, 224, 3), "uint8")
    digest = hashlib.sha256(pictures.tobytes()).hexdigest()
    assert digest == "4d2d05b28a79011fb866a1fd8f938f024b4ae8d0f28512f3dcf63eb9b908c80e"


def test_the_pictures_differ_and_do_not_depend_on_their_number() -> None:
    one, two = golden_images(2, 2)
    assert (one != two).any()
    assert (golden_images(2, 1)[0] == one).all()
    assert (golden_images(3, 1)[0] != one).any()


def test_golden_answers_are_read_back() -> None:
    golden = made_golden()
    assert Golden.model_validate_json(golden.model_dump_json()) == golden


@pytest.mark.parametrize("row", [(0.5, 0.5), (0.5,) * 8, (2.0,) * 7, (float("nan"),) * 7])
def test_what_is_no_row_of_seven_probabilities_is_refused(row: tuple[float, ...]) -> None:
    with pytest.raises(ValidationError):
        GoldenAnswer(probabilities=(row,), tolerance=0.1)
