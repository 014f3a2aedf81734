import pytest

from lentigo_contract.labels import CODES, DIAGNOSES, MALIGNANT, RESEARCH_NOTICE, index_of


def test_the_order_is_the_one_that_every_array_uses() -> None:
    assert CODES == ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
    assert tuple(diagnosis.code for diagnosis in DIAGNOSES) == CODES


def test_the_order_is_that_of_sorted_class_folders() -> None:
    assert list(CODES) == sorted(CODES)


def test_three_diagnoses_count_as_malignant() -> None:
    assert {code for code, malignant in zip(CODES, MALIGNANT, strict=True) if malignant} == {
        "akiec",
        "bcc",
        "mel",
    }


@pytest.mark.parametrize("code", CODES)
def test_an_index_leads_back_to_its_code(code: str) -> None:
    assert CODES[index_of(code)] == code


@pytest.mark.parametrize("unknown", ["", "NV", "nevus", "scc"])
def test_an_unknown_code_has_no_index(unknown: str) -> None:
    with pytest.raises(KeyError):
        index_of(unknown)


def test_every_diagnosis_has_a_name_and_clinical_codes_of_its_own() -> None:
    names = [diagnosis.name for diagnosis in DIAGNOSES]
    codes = [code for diagnosis in DIAGNOSES for code in diagnosis.icd10]

    assert all(names)
    assert all(diagnosis.icd10 for diagnosis in DIAGNOSES)
    assert len(set(names)) == len(names)
    assert len(set(codes)) == len(codes)


def test_the_notice_says_what_it_is_not() -> None:
    assert RESEARCH_NOTICE == "Research use only. Not a medical device."
