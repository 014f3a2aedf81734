"""The learning rate: constant, then down to zero in a straight line."""

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
