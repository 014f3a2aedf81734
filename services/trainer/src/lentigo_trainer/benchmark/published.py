"""What the paper reports of its four networks, on the same 938 images (its Table 1)."""

from typing import Final

from pydantic import BaseModel, ConfigDict


class PaperFigures(BaseModel):
    """One column of the paper's table.

    Attributes:
        epochs: how many it trained.
        minutes: how long that took, on the GPU of an Apple M1.
        accuracy: on the training rows, per cent, as the others.
        loss: cross-entropy on the training rows.
        validation_accuracy: on the 938 images, per cent.
        validation_loss: on the 938 images.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int
    minutes: float
    accuracy: float
    loss: float
    validation_accuracy: float
    validation_loss: float


PAPER: Final[dict[str, PaperFigures]] = {
    "cnn": PaperFigures(
        epochs=10,
        minutes=15.01,
        accuracy=66.64,
        loss=0.8637,
        validation_accuracy=82.4,
        validation_loss=0.5593,
    ),
    "vgg16": PaperFigures(
        epochs=10,
        minutes=38.83,
        accuracy=75.37,
        loss=0.7680,
        validation_accuracy=83.05,
        validation_loss=0.4778,
    ),
    "resnet50": PaperFigures(
        epochs=20,
        minutes=44.6,
        accuracy=77.60,
        loss=0.5728,
        validation_accuracy=86.67,
        validation_loss=0.4000,
    ),
    "mobilenet": PaperFigures(
        epochs=20,
        minutes=14.56,
        accuracy=95.37,
        loss=0.1258,
        validation_accuracy=89.77,
        validation_loss=0.3520,
    ),
}
