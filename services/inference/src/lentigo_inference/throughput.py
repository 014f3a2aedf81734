"""How fast images are answered, measured while they are."""

from typing import Final

# Weight of the newest batch: the mean follows a change of load within some ten batches.
_WEIGHT: Final = 0.1


class Throughput:
    """A moving mean of seconds an image takes while there is work. Used on the event loop alone."""

    def __init__(self, first_guess_s: float = 0.05) -> None:
        """Start with a guess, in seconds an image, that holds until something was measured."""
        self._seconds_per_image = first_guess_s
        self._measured = False

    def record(self, images: int, seconds: float) -> None:
        """Learn that so many images took so long, from one answer to the next."""
        if images < 1 or seconds < 0:
            return
        newest = seconds / images
        if not self._measured:
            self._seconds_per_image = newest
            self._measured = True
        else:
            self._seconds_per_image += _WEIGHT * (newest - self._seconds_per_image)

    def seconds_for(self, images: int) -> float:
        """Estimate how long so many images take."""
        return images * self._seconds_per_image
