"""What the images look like that were answered lately: a rolling window for each version."""

import threading
from collections import deque
from dataclasses import dataclass
from typing import Final

WINDOW: Final = 500
"""Images of a version that are kept: the latest."""

# Late answers of the version before must not mix with those of the one in use.
_VERSIONS: Final = 2


@dataclass(frozen=True, slots=True)
class SeenImage:
    """An image that was answered.

    Attributes:
        time: of the answer, Unix time in seconds.
        brightness: see `imaging.quality.ImageQuality`.
        sharpness: likewise.
        accepted: whether it can be judged.
        unlikeness: None if the network did not run or has no such output.
        diagnosis: class number; None if it was withheld.
    """

    time: float
    brightness: float
    sharpness: float
    accepted: bool
    unlikeness: float | None
    diagnosis: int | None


class SeenImages:
    """The latest images of the latest versions. Safe from any thread."""

    def __init__(self, window: int = WINDOW) -> None:
        """Begin without any; `window` is how many images of a version are kept."""
        self._window = window
        self._lock = threading.Lock()
        self._by_version: dict[str, deque[SeenImage]] = {}

    def add(self, manifest_sha256: str, image: SeenImage) -> None:
        """Add an image that a version answered."""
        with self._lock:
            if manifest_sha256 not in self._by_version:
                while len(self._by_version) >= _VERSIONS:
                    del self._by_version[next(iter(self._by_version))]
                self._by_version[manifest_sha256] = deque(maxlen=self._window)
            self._by_version[manifest_sha256].append(image)

    def of(self, manifest_sha256: str) -> tuple[SeenImage, ...]:
        """Return the images of a version, the latest last."""
        with self._lock:
            return tuple(self._by_version.get(manifest_sha256, ()))
