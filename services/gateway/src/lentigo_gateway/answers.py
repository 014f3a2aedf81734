"""What the inference service said of one image."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Answer:
    """The answer to one image, or to one frame of it.

    Attributes:
        prediction: the JSON of `POST /v1/predictions`, as the service gave it. An answer without a
            diagnosis, because the image cannot be judged, is one too.
        model: its member `model`: `name`, `version`, `architecture`, `engine`, and the `digest` of
            the version.
        received_at: when it arrived, UTC.
        frame: number of the frame, counted from 1; None for an image that has one only.
    """

    prediction: dict[str, object]
    model: dict[str, Any]
    received_at: datetime
    frame: int | None
