import pytest

from lentigo_trainer.training.optimization.schedules import Cooldown


@pytest.mark.parametrize(
    ("step", "rate"), [(0, 0.01), (79, 0.01), (80, 0.01), (90, 0.005), (99, 0.0005), (100, 0.0)]
)
def test_the_rate_is_constant_then_falls_in_a_straight_line(step: int, rate: float) -> None:
    assert float(Cooldown(0.01, steps=100, cooldown=20)(step)) == pytest.approx(rate, abs=1e-8)


def test_without_a_cooldown_the_rate_is_constant() -> None:
    assert float(Cooldown(0.01, steps=100, cooldown=0)(99)) == pytest.approx(0.01)


def test_the_constant_part_does_not_depend_on_the_length_of_the_run() -> None:
    short, long = (Cooldown(0.01, steps, cooldown=20) for steps in (100, 1000))
    assert float(short(80)) == float(long(80))
