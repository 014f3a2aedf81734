"""`docs/fhir/`: every file is what the functions make, and valid."""

import json
import re
from pathlib import Path

import pytest

from docs.hooks.fhir_guide import FOLDER, resources, text_of
from lentigo_contract.fhir.codes import CANONICAL, shipped_code_map
from lentigo_contract.labels import RESEARCH_NOTICE
from tests.contract.fhir.r4 import assert_valid

RESOURCES = resources()


def test_the_folder_has_every_resource_and_no_other() -> None:
    assert {path.name for path in FOLDER.glob("*.json")} == set(RESOURCES)


@pytest.mark.parametrize("name", RESOURCES)
def test_a_file_is_what_the_functions_make(name: str) -> None:
    expected = text_of(RESOURCES[name])
    assert (FOLDER / name).read_text() == expected, "run python -m docs.hooks.fhir_guide"


@pytest.mark.parametrize("name", RESOURCES)
def test_a_resource_of_the_guide_is_valid(name: str) -> None:
    assert_valid(RESOURCES[name])
    assert RESEARCH_NOTICE in json.dumps(RESOURCES[name])


def test_every_profile_that_an_example_names_is_in_the_guide() -> None:
    text = json.dumps([each for name, each in RESOURCES.items() if name.startswith("Bundle")])
    named = set(re.findall(rf"{CANONICAL}:StructureDefinition:[a-z-]+", text))
    defined = {
        each["url"] for each in RESOURCES.values() if each["resourceType"] == "StructureDefinition"
    }
    assert named == defined


def test_every_code_that_an_example_has_is_in_a_code_system() -> None:
    defined = {
        each["url"]: {concept["code"] for concept in each["concept"]}
        for each in RESOURCES.values()
        if each["resourceType"] == "CodeSystem"
    }
    text = json.dumps(list(RESOURCES.values()))
    used = re.findall(rf'"system": "({CANONICAL}:CodeSystem:[a-z]+)", "code": "([^"]+)"', text)
    assert used
    for system, code in used:
        assert code in defined[system]


def test_the_map_of_codes_is_a_concept_map() -> None:
    groups = RESOURCES["ConceptMap-diagnosis.json"]["group"]
    listed = {
        (element["code"], group["target"], target["code"], target["equivalence"])
        for group in groups
        for element in group["element"]
        for target in element["target"]
    }
    assert listed == {
        (each.diagnosis, each.system, each.code, each.relation) for each in shipped_code_map().codes
    }


def test_the_page_links_every_file() -> None:
    page = (FOLDER / "index.md").read_text()
    assert set(re.findall(r"\]\(([\w-]+\.json)\)", page)) == set(RESOURCES)
    assert Path(FOLDER.parent / "index.md").exists()
