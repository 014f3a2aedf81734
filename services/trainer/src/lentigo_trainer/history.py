"""What each epoch of a training run came to."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EpochFigures:
    """One epoch; accuracies are shares 0..1, losses are cross-entropies in nats.

    Training figures are those seen while learning, with augmentation and dropout at work, so they
    can lie below the validation figures.

    Attributes:
        epoch: counted from 1.
        accuracy: on the training rows.
        loss: on the training rows.
        validation_accuracy: on the images held back.
        validation_loss: on the images held back.
        seconds: how long the epoch took, its measurement included.
    """

    epoch: int
    accuracy: float
    loss: float
    validation_accuracy: float
    validation_loss: float
    seconds: float
