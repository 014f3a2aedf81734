import pytest

from tests.fakes import made_agreement


@pytest.mark.parametrize(
    "figures",
    [
        {},
        {"balanced_accuracy_change": 0.1},
        {"balanced_accuracy_change": -0.005},
        {"equal_diagnoses": 0.99},
        {"equal_referrals": 0.995},
        {"equal_referrals": None},
        {"largest_difference": 0.9},
    ],
    ids=str,
)
def test_an_engine_within_the_bounds_may_stand_in(figures: dict[str, object]) -> None:
    assert made_agreement(**figures).shortfall() is None


@pytest.mark.parametrize(
    ("figures", "reason"),
    [
        ({"balanced_accuracy_change": -0.0051}, "lowers balanced accuracy by 0.0051"),
        ({"equal_diagnoses": 0.9899}, "98.99%"),
        ({"equal_referrals": 0.9949}, "referral is the same on 99.49%"),
        ({"images": 0}, "no image"),
    ],
    ids=str,
)
def test_an_engine_beyond_them_may_not_and_says_why(figures: dict[str, float], reason: str) -> None:
    assert reason in (made_agreement(**figures).shortfall() or "")
