import numpy as np
import pytest

from lentigo_contract.labels import RESEARCH_NOTICE, index_of
from lentigo_contract.manifest import Thresholds
from lentigo_trainer.evaluation import Evaluation, evaluate
from lentigo_trainer.model_card import model_card
from tests.fakes import made_manifest
from tests.trainer.made_up_answers import certain, made_up_answers

NV, MEL = index_of("nv"), index_of("mel")


def measured() -> Evaluation:
    truth = np.array([NV] * 16 + [MEL] * 4)
    answers = certain(*[NV] * 16, MEL, NV, NV, NV)
    return evaluate(truth, answers, np.arange(20), seed=1, resamples=100)


def test_it_opens_with_the_notice_and_says_what_it_is_not_for() -> None:
    card = model_card(made_manifest(), measured(), "twenty made-up images")
    assert f"> {RESEARCH_NOTICE}" in card
    assert "**Not for** diagnosing" in card
    assert "CC BY-NC 4.0" in card
    assert "non-commercial" in card


def test_figures_stand_beside_baseline_interval_and_n() -> None:
    card = model_card(made_manifest(), measured(), "twenty made-up images")
    assert "Measured on twenty made-up images (20 images of 20 lesions)." in card
    (accuracy,) = [line for line in card.splitlines() if line.startswith("| Accuracy")]
    _, _, value, n, baseline, _ = accuracy.split("|")
    assert value.strip().startswith("85.0 % (")
    assert n.strip() == "20"
    assert baseline.strip().startswith("80.0 % (")


def test_missed_malignancies_are_named_with_their_number() -> None:
    card = model_card(made_manifest(), measured(), "twenty made-up images")
    assert "- mel: 3 of 4 images (75.0 %) got another answer, most often nv (3)" in card


def test_what_is_undefined_or_untested_is_said() -> None:
    card = model_card(made_manifest(), measured(), "twenty", not_tested=["speed on phones"])
    assert "| df | 0 | undefined | undefined | 0 | undefined |" in card
    assert "- Recall of df: There is no example of df" in card
    assert "- speed on phones: not measured" in card


@pytest.mark.parametrize(
    ("threshold", "told"), [(0.3, "0.3"), (0.000126018, "0.000126"), (3e-07, "0.0000003")]
)
def test_a_small_threshold_is_told_in_full_with_its_source(threshold: float, told: str) -> None:
    manifest = made_manifest(
        thresholds=Thresholds(malignancy=threshold, source="largest for savedmodel; litert-int8")
    )
    card = model_card(manifest, measured(), "twenty")
    assert f"sum to at least\n{told}, whichever engine answers." in card
    assert "How that was chosen: largest for savedmodel; litert-int8." in card


def test_tables_have_as_many_cells_in_every_row() -> None:
    card = model_card(made_manifest(), evaluate(*made_up_answers(1), seed=1, resamples=50), "it")
    for block in card.split("\n\n"):
        rows = [line.count("|") for line in block.splitlines() if line.startswith("|")]
        assert len(set(rows)) <= 1
