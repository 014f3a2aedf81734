"""A lesion whose diagnosis, decided as if all were equally frequent, is not the most probable."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from lentigo_contract.imaging.read import read_image
from lentigo_contract.labels import CODES, DIAGNOSES, Diagnosis
from lentigo_contract.repository.store import ModelStore
from tests.e2e.page.conftest import MEASURED, Visit
from tests.e2e.page.hands import (
    button,
    choose,
    lesion,
    predict,
    scrolls_sideways,
    show_map,
    violations,
)
from tests.e2e.service_process import ServiceProcess, service_process
from tests.models import SavedModels
from tests.models import expected as answer_of

if TYPE_CHECKING:
    from playwright.sync_api import Locator

SEED = 3

# Of the most probable diagnosis, if a service decides for that.
PROBABLE = {
    name: {"value": 0.9, "low": 0.8, "high": 0.95, "n": 938}
    for name in ("accuracy", "balanced_accuracy")
}


@pytest.fixture(scope="module")
def both() -> tuple[Diagnosis, Diagnosis]:
    """The suggested and the most probable diagnosis of the lesion."""
    first, second = _ranked()[:2]
    return DIAGNOSES[second], DIAGNOSES[first]


def _ranked() -> list[int]:
    pixels = read_image(lesion()["buffer"]).pixels[None]
    ranked: list[int] = np.argsort(-answer_of(pixels, SEED).probabilities[0]).tolist()
    return ranked


@pytest.fixture(scope="module")
def models(saved_models: SavedModels, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version whose most probable diagnosis of the lesion is as probable as it is frequent."""
    shares = np.full(7, 0.001)
    shares[_ranked()[0]] = 1 - 0.006
    store = ModelStore(tmp_path_factory.mktemp("decisions") / "models")
    saved_models.publish(
        store,
        SEED,
        litert=True,
        prevalence=dict(zip(CODES, shares.tolist(), strict=True)),
        metrics={**MEASURED, "decided_by": "balanced", "most_probable": PROBABLE},
    )
    return store.root


def result(page: Page) -> "Locator":
    choose(page, lesion())
    predict(page)
    return page.locator(".result")


def test_the_page_says_both_in_words(page: Page, both: tuple[Diagnosis, Diagnosis]) -> None:
    suggested, probable = both
    shown = result(page)
    expect(shown.locator(".overline")).to_have_text("Suggested diagnosis")
    expect(shown.locator("h2")).to_have_text(suggested.name)
    told = shown.locator(".differs")
    expect(told).to_contain_text(re.compile(rf"^Most probable: {probable.name}, \d"))
    expect(told).to_contain_text(f"equally frequent, {suggested.name} would fit this image best")
    expect(shown.locator(".bars .name").first).to_contain_text(probable.name)
    expect(shown.locator(".origins")).to_contain_text("as frequent as in made up")
    expect(show_map(page)).to_have_attribute("data-code", suggested.code)
    expect(page.get_by_role("status").first).to_contain_text(f"Most probable: {probable.name}")
    assert violations(page) == []


def test_a_print_and_the_saved_response_have_both(
    page: Page, both: tuple[Diagnosis, Diagnosis], tmp_path: Path
) -> None:
    shown = result(page)
    with page.expect_download() as download:
        button(page, "Save as JSON").click()
    download.value.save_as(tmp_path / "answer.json")
    answer = json.loads((tmp_path / "answer.json").read_text())["answer"]
    assert (answer["diagnosis"]["code"], answer["most_probable"]["code"]) == tuple(
        each.code for each in both
    )
    page.emulate_media(media="print")
    expect(shown.locator(".differs")).to_be_visible()
    assert len(re.findall(rb"/Type\s*/Page\b", page.pdf(format="A4"))) == 1


def test_a_phone_shows_both_in_german(visit: Visit, service: ServiceProcess) -> None:
    page = visit(service.url, locale="de-DE", viewport={"width": 360, "height": 740})
    choose(page, lesion())
    button(page, "Diagnose bestimmen").click()
    expect(page.locator(".result .overline")).to_have_text("Vorgeschlagene Diagnose")
    expect(page.locator(".differs")).to_contain_text("Am wahrscheinlichsten: ")
    assert not scrolls_sideways(page)


def test_a_service_that_decides_by_probability_shows_one_and_its_metrics(
    visit: Visit, models: Path, both: tuple[Diagnosis, Diagnosis]
) -> None:
    with service_process(models, LENTIGO_DECISION="probable") as by_probability:
        by_probability.logged("model in use", decided_by="probable")
        page = visit(by_probability.url)
        shown = result(page)
        expect(shown.locator(".overline")).to_have_text("Most likely diagnosis")
        expect(shown.locator("h2")).to_have_text(both[1].name)
        expect(shown.locator(".differs")).to_have_count(0)
        expect(shown.locator(".origins")).to_contain_text("90.0%")
        page.close()
