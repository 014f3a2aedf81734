import pytest

from lentigo_contract.labels import CODES
from lentigo_trainer.data.extra.diagnoses import diagnosis_table, meaning_of, parse_table
from lentigo_trainer.errors import MetadataError

TABLE = diagnosis_table()


@pytest.mark.parametrize("code", CODES)
def test_each_of_the_seven_codes_means_itself(code: str) -> None:
    found = meaning_of([code.upper()], TABLE)
    assert found is not None
    assert found.code == code


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("Nevus", "Benign melanocytic proliferations", "Benign"), "nv"),
        (("Melanoma, NOS", "Malignant melanocytic proliferations (Melanoma)", "Malignant"), "mel"),
        (("Malignant melanocytic proliferations (Melanoma)", "Malignant"), "mel"),
        (("Melanoma in situ, a new kind", "Melanoma in situ"), "mel"),
        (("Solar or actinic keratosis", "Indeterminate"), "akiec"),
        (("Squamous cell carcinoma in situ, Bowens disease",), "akiec"),
        (("Basal cell carcinoma", "Malignant"), "bcc"),
        (("Seborrheic keratosis", "Benign"), "bkl"),
        (("Benign soft tissue proliferations - Vascular", "Benign"), "vasc"),
        (("pigmented_benign_keratosis",), "bkl"),
    ],
)
def test_the_most_specific_listed_word_decides(words: tuple[str, ...], code: str) -> None:
    found = meaning_of(words, TABLE)
    assert found is not None
    assert found.code == code


@pytest.mark.parametrize(
    "words",
    [
        ("Melanoma metastasis", "Malignant melanocytic proliferations (Melanoma)"),
        ("Squamous cell carcinoma, Invasive", "Malignant epidermal proliferations"),
        ("Atypical melanocytic neoplasm",),
        ("Lentigo NOS", "Benign"),
        ("Malignant",),
        ("UNK",),
    ],
)
def test_what_is_none_of_the_seven_has_a_reason(words: tuple[str, ...]) -> None:
    found = meaning_of(words, TABLE)
    assert found is not None
    assert found.code is None
    assert found.why


def test_words_that_are_not_listed_mean_nothing() -> None:
    assert meaning_of(["a word of one clinic", ""], TABLE) is None


@pytest.mark.parametrize(
    "row", ["mole,nevus,", "mole,,", "mole,nv,and a reason", "mole,nv,\nMole,nv,"]
)
def test_a_table_that_contradicts_itself_is_refused(row: str) -> None:
    with pytest.raises(MetadataError, match=r"(?i)mole"):
        parse_table(["diagnosis,code,why", *row.split("\n")])
