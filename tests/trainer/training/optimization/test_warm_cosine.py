import pytest

from lentigo_trainer.training.optimization.schedules import WarmupCosine


@pytest.mark.parametrize(
    ("step", "rate"), [(0, 0.1), (4, 0.5), (9, 1.0), (10, 1.0), (60, 0.5), (110, 0.0), (200, 0.0)]
)
def test_the_rate_rises_in_a_line_and_falls_along_a_cosine(step: int, rate: float) -> None:
    assert float(WarmupCosine(1.0, steps=110, warm_up=10)(step)) == pytest.approx(rate, abs=1e-2)


def test_without_a_warm_up_the_rate_starts_at_its_highest() -> None:
    assert float(WarmupCosine(0.3, steps=10, warm_up=0)(0)) == pytest.approx(0.3)


def test_a_run_that_only_warms_up_ends_at_the_highest_rate() -> None:
    assert float(WarmupCosine(0.3, steps=4, warm_up=4)(3)) == pytest.approx(0.3)
