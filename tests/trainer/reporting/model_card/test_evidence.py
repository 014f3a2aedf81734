from datetime import UTC, datetime

import pytest

from lentigo_contract.errors import ScorecardError
from lentigo_trainer.evaluation.report import Scorecard
from lentigo_trainer.reporting.model_card.evidence import Other, checked
from tests.fakes import made_manifest
from tests.trainer.evaluation.cards import made_card

MANIFEST = made_manifest(version=3)


@pytest.fixture(scope="module")
def main() -> Scorecard:
    return made_card(n=60)


def test_another_version_is_found_on_the_images_it_was_measured_on(main: Scorecard) -> None:
    second = made_card(n=60, seed=2)
    theirs = Other("theirs", made_card(n=60, seed=2, version=2))
    evidence = checked(MANIFEST, main, [second], [theirs])
    assert evidence.beside(main) == ()
    assert evidence.beside(second) == (theirs,)


def test_figures_of_another_version_are_refused(main: Scorecard) -> None:
    with pytest.raises(ScorecardError, match=r"those of lentigo 3, .* the card is of lentigo 4"):
        checked(made_manifest(version=4), main)
    later = made_manifest(version=3, created=datetime(2026, 1, 3, tzinfo=UTC))
    with pytest.raises(ScorecardError, match="Measure that version, or name the other"):
        checked(later, main)


def test_figures_of_other_images_are_not_set_beside(main: Scorecard) -> None:
    theirs = Other("theirs", made_card(n=50, version=2))
    with pytest.raises(ScorecardError, match=r"theirs was measured on 50 made-up images .*60"):
        checked(MANIFEST, main, others=[theirs])


def test_one_set_of_images_is_given_once(main: Scorecard) -> None:
    with pytest.raises(ScorecardError, match="Give each set of images once"):
        checked(MANIFEST, main, [main])


def test_a_version_is_not_set_beside_itself(main: Scorecard) -> None:
    with pytest.raises(ScorecardError, match="is the version of the card itself"):
        checked(MANIFEST, main, others=[Other("again", main)])
