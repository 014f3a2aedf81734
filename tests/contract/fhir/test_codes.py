import tomllib
from importlib import resources
from pathlib import Path

import pytest

from lentigo_contract.errors import CodeMapError
from lentigo_contract.fhir.codes import (
    DIAGNOSES_SYSTEM,
    ICD_10,
    SNOMED_CT,
    TERMS,
    code_map,
    has_check_digit,
    read_code_map,
    shipped_code_map,
    term,
)
from lentigo_contract.imaging.quality import REASONS
from lentigo_contract.labels import CODES, DIAGNOSES

GOOD = """
schema = 1
[[codes]]
diagnosis = "df"
system = "http://snomed.info/sct"
code = "254701007"
display = "Whatever the hospital signed off"
relation = "equivalent"
sources = ["the hospital's terminologist"]
"""


def test_every_shipped_code_has_two_sources() -> None:
    for each in shipped_code_map().codes:
        assert len(set(each.sources)) >= 2, each


def test_every_shipped_code_of_snomed_ct_has_its_check_digit() -> None:
    codes = [each.code for each in shipped_code_map().codes if each.system == SNOMED_CT]
    assert len(codes) >= 3
    assert all(has_check_digit(code) for code in codes)


@pytest.mark.parametrize(
    "identifier", ["404684003", "900000000000207008", "22298006", "72100002", "446078004"]
)
def test_identifiers_of_snomed_ct_pass_the_check(identifier: str) -> None:
    assert has_check_digit(identifier)


@pytest.mark.parametrize(
    "identifier", ["72464004", "404684004", "404648003", "", "40468400x", "404 684003", "٣"]
)
def test_a_wrong_digit_or_two_that_are_swapped_fail_the_check(identifier: str) -> None:
    assert not has_check_digit(identifier)


def test_codes_of_icd_10_are_within_the_categories_of_the_diagnosis() -> None:
    categories = {each.code: each.icd10 for each in DIAGNOSES}
    codes = [each for each in shipped_code_map().codes if each.system == ICD_10]
    assert codes
    for each in codes:
        assert each.code.startswith(categories[each.diagnosis]), each


@pytest.mark.parametrize("code", CODES)
def test_our_own_code_stands_first(code: str) -> None:
    first, *others = shipped_code_map().codings(code)
    assert (first["system"], first["code"]) == (DIAGNOSES_SYSTEM, code)
    assert DIAGNOSES_SYSTEM not in [each["system"] for each in others]


@pytest.mark.parametrize("code", ["akiec", "bkl", "vasc"])
def test_a_group_has_no_code_of_another_system_in_a_result(code: str) -> None:
    assert len(shipped_code_map().codings(code)) == 1


def test_every_reason_of_the_service_is_a_term() -> None:
    assert set(REASONS) <= set(TERMS)
    assert term("of-a-later-release") == {"text": "of-a-later-release"}


def test_a_hospital_has_a_map_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "codes.toml"
    file.write_text(GOOD)
    own, signed_off = code_map(file).codings("df")
    assert own["code"] == "df"
    assert signed_off["code"] == "254701007"
    assert len(code_map(file).codings("mel")) == 1
    assert code_map(None) == shipped_code_map()


BAD = {
    "not TOML": "schema = ",
    "not text": "\x00",
    "another schema": GOOD.replace("schema = 1", "schema = 2"),
    "no schema": GOOD.replace("schema = 1", ""),
    "an unknown diagnosis": GOOD.replace('"df"', '"wart"'),
    "a wrong check digit": GOOD.replace("254701007", "254701008"),
    "no code": GOOD.replace("254701007", ""),
    "no source": GOOD.replace('"the hospital\'s terminologist"', ""),
    "an unknown relation": GOOD.replace("equivalent", "similar"),
    "an unknown member": GOOD + "surprise = 1\n",
    "no system": GOOD.replace("http://snomed.info/sct", "SNOMED CT"),
    "our own system": GOOD.replace("http://snomed.info/sct", DIAGNOSES_SYSTEM),
    "no ICD-10": GOOD.replace("http://snomed.info/sct", ICD_10),
    "a number": GOOD.replace('"254701007"', "254701007"),
    "two codes of one system": GOOD + GOOD.replace("schema = 1", ""),
    "nothing": "",
}


@pytest.mark.parametrize("name", BAD)
def test_a_map_that_cannot_be_used_is_one_clear_error(tmp_path: Path, name: str) -> None:
    file = tmp_path / "codes.toml"
    file.write_text(BAD[name])
    with pytest.raises(CodeMapError) as caught:
        read_code_map(file)
    assert str(file) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_files_that_are_none_are_one_clear_error(tmp_path: Path) -> None:
    large = tmp_path / "large.toml"
    large.write_bytes(b"#" * 300_000)
    for path in (tmp_path / "missing.toml", tmp_path, large, Path("/dev/zero")):
        with pytest.raises(CodeMapError, match=str(path)):
            read_code_map(path)
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CodeMapError, match="not TOML"):
        read_code_map(binary)


def test_the_map_is_in_the_package() -> None:
    content = resources.files("lentigo_contract.fhir").joinpath("code_map.toml").read_text()
    assert tomllib.loads(content)["schema"] == 1
