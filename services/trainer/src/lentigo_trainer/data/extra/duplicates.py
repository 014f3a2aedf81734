"""Images that are known already: those of HAM10000, of evaluation sets, or of the set itself.

`DuplicateIndex` is the place for other ways to recognise an image: whoever has its two methods can
be passed to `importing.import_images`. `ExactIndex` knows an image by its name in the ISIC Archive,
by its bytes, and by its decoded pixels. It does not recognise an image that was scaled or
compressed again under another name.
"""

import hashlib
import re
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

_ISIC_NAME: Final = re.compile(r"ISIC_\d{7}")


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """An image as it is compared.

    Attributes:
        name: without suffix.
        sha256: of its bytes, hex.
        pixels: uint8 [224, 224, 3], as the network takes it.
    """

    name: str
    sha256: str
    pixels: npt.NDArray[np.uint8]


class DuplicateIndex(Protocol):
    """Recognises images that were added to it."""

    def add(self, image: DecodedImage, described: str) -> None:
        """Add an image; `described` names it in messages, such as "HAM10000's ISIC_0024306"."""

    def find(self, image: DecodedImage) -> str | None:
        """Return how the same image was described, if it was added."""


@dataclass(frozen=True, slots=True)
class ExactIndex:
    """Recognises images by name, bytes and pixels."""

    described: dict[str, str] = field(default_factory=dict)

    def add(self, image: DecodedImage, described: str) -> None:
        """Add an image under each of its keys; the first that has a key keeps it."""
        for key in _keys(image):
            self.described.setdefault(key, described)

    def find(self, image: DecodedImage) -> str | None:
        """Return how the same image was described, if it was added."""
        return next((self.described[key] for key in _keys(image) if key in self.described), None)


def archive_name(name: str) -> str | None:
    """Return the name of an image in the ISIC Archive, which stays the same in every collection.

    ISIC 2019 has `ISIC_0000000_downsampled` for `ISIC_0000000`.
    """
    found = _ISIC_NAME.match(name)
    return found and found[0]


def _keys(image: DecodedImage) -> list[str]:
    name = archive_name(image.name)
    pixels = hashlib.sha256(np.ascontiguousarray(image.pixels).tobytes()).hexdigest()
    return [*([] if name is None else [name]), image.sha256, f"pixels {pixels}"]
