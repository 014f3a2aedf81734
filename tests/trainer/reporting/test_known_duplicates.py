"""How a report shows images whose lesion trained under another lesion id."""

import numpy as np
import pytest

from lentigo_trainer.evaluation.images.image_sets import ImageSet
from lentigo_trainer.evaluation.report import EvaluationReport, evaluated_model, score
from lentigo_trainer.evaluation.summary import evaluate
from lentigo_trainer.reporting.model_card.card import model_card
from lentigo_trainer.reporting.model_card.evidence import Other, validate_evidence
from lentigo_trainer.reporting.sentences import sentences
from lentigo_trainer.reporting.tables import overall_table
from lentigo_trainer.reporting.text import WITHOUT_DUPLICATES, rows_with_rest
from tests.fakes import made_manifest
from tests.trainer.evaluation.cards import made_answers, made_card, made_set

DUPLICATED = np.arange(200) % 40 == 3
MANIFEST = made_manifest()


def report(skill: float = 2.0, version: int = MANIFEST.version) -> EvaluationReport:
    """Of 200 made-up images, five of which are known duplicates."""
    images: ImageSet = made_set(200)
    answers = made_answers(images, skill)
    whole = evaluate(images.truth, answers, images.groups, 0, 60, duplicated=DUPLICATED)
    found = score(
        evaluated_model(MANIFEST, version), images, "none: x", answers, MANIFEST, 0, None, 60, whole
    )
    names = tuple(np.array(images.names)[DUPLICATED])
    return found.model_copy(update={"known_duplicates": names})


def test_each_metric_has_a_second_row_without_them() -> None:
    found = report()
    rows = overall_table(found).rows
    assert {row[0] for row in rows[1::2]} == {WITHOUT_DUPLICATES}
    assert (rows[0][2], rows[1][2]) == ("200", "195")


def test_without_known_duplicates_there_is_no_second_row() -> None:
    names = [name for name, *_ in rows_with_rest(made_card().evaluation)]
    assert WITHOUT_DUPLICATES not in names


def test_a_sentence_names_them() -> None:
    (sentence,) = [each for each in sentences(report()) if each.startswith("Known duplicates")]
    assert "5 of the images" in sentence
    assert "ISIC_0000003, ISIC_0000043" in sentence


def test_a_report_with_them_is_unchanged_after_writing_and_reading() -> None:
    found = report()
    assert EvaluationReport.from_json(found.to_json()) == found


def test_the_card_has_them_in_short_and_beside_another_version() -> None:
    found, other = report(), report(1.0, 7)
    text = model_card(validate_evidence(MANIFEST, found, others=[Other("old", other)]))
    assert "Without known duplicates of training images: " in text
    compared = text[text.index("### Beside old") :].splitlines()
    table = [line for line in compared if line.startswith("|")]
    accuracy = next(place for place, line in enumerate(table) if line.startswith("| Accuracy"))
    assert table[accuracy + 1].startswith(f"| {WITHOUT_DUPLICATES} |")
    assert "| 195 |" in table[accuracy + 1]
    assert "points" in table[accuracy + 1]


@pytest.mark.parametrize("lesions_known", [True, False])
def test_images_without_metadata_have_none(lesions_known: bool) -> None:
    assert not made_set(50, lesions_known).duplicated.any()
