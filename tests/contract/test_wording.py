import pytest

from lentigo_contract.wording import pluralize


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 images"), (1, "1 image"), (2, "2 images"), (9_077, "9,077 images")]
)
def test_a_noun_has_an_s_for_every_number_but_one(count: int, words: str) -> None:
    assert pluralize(count, "image") == words


@pytest.mark.parametrize(("count", "words"), [(1, "1 diagnosis"), (7, "7 diagnoses")])
def test_the_plural_of_diagnosis_is_known(count: int, words: str) -> None:
    assert pluralize(count, "diagnosis") == words


@pytest.mark.parametrize(("count", "words"), [(1, "1 image was"), (3, "3 images were")])
def test_a_verb_agrees_with_the_number(count: int, words: str) -> None:
    assert pluralize(count, "image was", "images were") == words
