from datetime import UTC, datetime

import pytest

from lentigo_trainer.errors import EvaluationReportError
from lentigo_trainer.evaluation.report import EvaluationReport
from lentigo_trainer.reporting.model_card.evidence import Other, validate_evidence
from tests.fakes import made_manifest
from tests.trainer.evaluation.cards import made_card

MANIFEST = made_manifest(version=3)


@pytest.fixture(scope="module")
def main() -> EvaluationReport:
    return made_card(n=60)


def test_another_version_is_found_on_the_images_it_was_measured_on(main: EvaluationReport) -> None:
    second = made_card(n=60, seed=2)
    theirs = Other("theirs", made_card(n=60, seed=2, version=2))
    evidence = validate_evidence(MANIFEST, main, [second], [theirs])
    assert evidence.beside(main) == ()
    assert evidence.beside(second) == (theirs,)


def test_figures_of_another_version_are_refused(main: EvaluationReport) -> None:
    with pytest.raises(
        EvaluationReportError, match=r"those of lentigo 3, .* the card is of lentigo 4"
    ):
        validate_evidence(made_manifest(version=4), main)
    later = made_manifest(version=3, created=datetime(2026, 1, 3, tzinfo=UTC))
    with pytest.raises(EvaluationReportError, match="Measure that version, or name the other"):
        validate_evidence(later, main)


def test_figures_of_other_images_are_not_set_beside(main: EvaluationReport) -> None:
    theirs = Other("theirs", made_card(n=50, version=2))
    with pytest.raises(
        EvaluationReportError, match=r"theirs was measured on 50 made-up images .*60"
    ):
        validate_evidence(MANIFEST, main, others=[theirs])


def test_one_set_of_images_is_given_once(main: EvaluationReport) -> None:
    with pytest.raises(EvaluationReportError, match="Give each set of images once"):
        validate_evidence(MANIFEST, main, [main])


def test_a_version_is_not_set_beside_itself(main: EvaluationReport) -> None:
    with pytest.raises(EvaluationReportError, match="is the version of the card itself"):
        validate_evidence(MANIFEST, main, others=[Other("again", main)])
