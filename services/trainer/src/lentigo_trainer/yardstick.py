"""What makes one version better than another."""

from enum import StrEnum


class Yardstick(StrEnum):
    """A figure of an evaluation on the validation images; higher is better."""

    ACCURACY = "accuracy"
    BALANCED_ACCURACY = "balanced_accuracy"
