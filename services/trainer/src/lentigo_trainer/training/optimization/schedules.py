"""Learning rate schedules: constant with a cooldown, or a cosine with warm-up."""

import math

import keras
from keras import ops


class Cooldown(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc] # untyped
    """A constant rate with a linear cooldown over the last steps.

    The constant part does not depend on the length of the run, so a run can be extended without
    starting over (Hägele et al., "Scaling Laws and Compute-Optimal Training Beyond Fixed
    Training Durations", NeurIPS 2024).

    Args:
        rate: of the constant part.
        steps: number of steps in the run.
        cooldown: how many of them cool down; 0 for none.
    """

    def __init__(self, rate: float, steps: int, cooldown: int) -> None:
        self._rate = rate
        self._steps = steps
        self._cooldown = cooldown

    def __call__(self, step: keras.KerasTensor) -> keras.KerasTensor:
        """Return the rate of a step, counted from 0."""
        left = (self._steps - ops.cast(step, "float32")) / max(1, self._cooldown)
        return self._rate * ops.clip(left, 0.0, 1.0)

    def get_config(self) -> dict[str, float]:
        """Return the arguments, as Keras requires of a schedule."""
        return {"rate": self._rate, "steps": self._steps, "cooldown": self._cooldown}


class WarmupCosine(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc] # untyped
    """A linear warm-up, then half a cosine down to zero (Loshchilov and Hutter, "SGDR", ICLR 2017).

    Args:
        rate: the highest.
        steps: number of steps in the run.
        warm_up: how many of them warm up; 0 for none.
    """

    def __init__(self, rate: float, steps: int, warm_up: int) -> None:
        self._rate = rate
        self._steps = steps
        self._warm_up = warm_up

    def __call__(self, step: keras.KerasTensor) -> keras.KerasTensor:
        """Return the rate of a step, counted from 0."""
        now = ops.cast(step, "float32")
        rising = (now + 1) / max(1, self._warm_up)
        done = (now - self._warm_up) / max(1, self._steps - self._warm_up)
        falling = (1 + ops.cos(math.pi * ops.clip(done, 0.0, 1.0))) / 2
        return self._rate * ops.minimum(rising, falling) if self._warm_up else self._rate * falling

    def get_config(self) -> dict[str, float]:
        """Return the arguments, as Keras requires of a schedule."""
        return {"rate": self._rate, "steps": self._steps, "warm_up": self._warm_up}
