"""What each epoch of a training run came to."""

from dataclasses import asdict, dataclass


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
        validation_balanced_accuracy: mean recall of the classes held back; None where a run does
            not measure it.
    """

    epoch: int
    accuracy: float
    loss: float
    validation_accuracy: float
    validation_loss: float
    seconds: float
    validation_balanced_accuracy: float | None = None

    def row(self) -> dict[str, float]:
        """Give what was measured, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def line(self) -> str:
        """Say it in one line."""
        balanced = self.validation_balanced_accuracy
        return (
            f"Epoch {self.epoch}: loss {self.loss:.4f}, accuracy {self.accuracy:.4f}; "
            f"validation loss {self.validation_loss:.4f}, accuracy {self.validation_accuracy:.4f}"
            + ("" if balanced is None else f", balanced accuracy {balanced:.4f}")
        )
