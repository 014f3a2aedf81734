"""The learning rate: constant, then down to zero in a straight line.

The learning rate: up in a straight line, then down to zero along a cosine, perhaps again.
"""

import math
from collections.abc import Sequence

import keras
from keras import ops


class Cooldown(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc] # untyped
    """A constant rate with a linear cooldown over the last steps.

    The constant part does not depend on how many epochs follow, so a run can be made longer
    without starting again (Hägele et al., "Scaling Laws and Compute-Optimal Training Beyond Fixed
    Training Durations", NeurIPS 2024).

    Args:
        rate: of the constant part.
        steps: of the whole run.
        cooldown: how many of them cool down; 0 for none.
    """

    def __init__(self, rate: float, steps: int, cooldown: int) -> None:
        self._rate = rate
        self._steps = steps
        self._cooldown = cooldown

    def __call__(self, step: keras.KerasTensor) -> keras.KerasTensor:
        """Give the rate of a step, counted from 0."""
        left = (self._steps - ops.cast(step, "float32")) / max(1, self._cooldown)
        return self._rate * ops.clip(left, 0.0, 1.0)

    def get_config(self) -> dict[str, float]:
        """Give the arguments again, as Keras asks of a schedule."""
        return {"rate": self._rate, "steps": self._steps, "cooldown": self._cooldown}


class WarmupCosine(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc] # untyped
    """A linear warm-up and half a cosine (Loshchilov and Hutter, "SGDR", ICLR 2017).

    Args:
        rate: the highest.
        steps: of the whole run.
        warm_up: how many of them rise; 0 for none.
    """

    def __init__(self, rate: float, steps: int, warm_up: int) -> None:
        self._rate = rate
        self._steps = steps
        self._warm_up = warm_up

    def __call__(self, step: keras.KerasTensor) -> keras.KerasTensor:
        """Give the rate of a step, counted from 0."""
        now = ops.cast(step, "float32")
        rising = (now + 1) / max(1, self._warm_up)
        done = (now - self._warm_up) / max(1, self._steps - self._warm_up)
        falling = (1 + ops.cos(math.pi * ops.clip(done, 0.0, 1.0))) / 2
        return self._rate * ops.minimum(rising, falling) if self._warm_up else self._rate * falling

    def get_config(self) -> dict[str, float]:
        """Give the arguments again, as Keras asks of a schedule."""
        return {"rate": self._rate, "steps": self._steps, "warm_up": self._warm_up}


class WarmRestarts(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc] # untyped
    """One schedule behind the other, each counting its own steps (SGDR's warm restarts).

    Args:
        first: holds from the first step on.
        later: of each other one, the step it begins at, in rising order.
    """

    def __init__(self, first: WarmupCosine, later: Sequence[tuple[int, WarmupCosine]]) -> None:
        self._first = first
        self._later = tuple(later)

    def __call__(self, step: keras.KerasTensor) -> keras.KerasTensor:
        """Give the rate of a step, counted from 0."""
        rate = self._first(step)
        for begin, schedule in self._later:
            rate = ops.where(step < begin, rate, schedule(step - begin))
        return rate

    def get_config(self) -> dict[str, object]:
        """Give the arguments again, as Keras asks of a schedule."""
        return {"first": self._first, "later": self._later}
