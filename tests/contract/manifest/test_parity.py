import pytest

from tests.fakes import made_agreement


@pytest.mark.parametrize(
    "figures",
    [
        {},
        {"balanced_accuracy_change": 0.005},
        {"balanced_accuracy_change": -0.005},
        {"equal_diagnoses": 0.99},
        {"largest_difference": 0.9},
    ],
    ids=str,
)
def test_an_engine_within_the_bounds_may_stand_in(figures: dict[str, float]) -> None:
    assert made_agreement(**figures).shortfall() is None


@pytest.mark.parametrize(
    ("figures", "reason"),
    [
        ({"balanced_accuracy_change": -0.0051}, "balanced accuracy by -0.0051"),
        ({"balanced_accuracy_change": 0.0051}, "balanced accuracy"),
        ({"equal_diagnoses": 0.9899}, "98.99%"),
        ({"images": 0}, "no image"),
    ],
    ids=str,
)
def test_an_engine_beyond_them_may_not_and_says_why(figures: dict[str, float], reason: str) -> None:
    assert reason in (made_agreement(**figures).shortfall() or "")
