"""Images that are known already: those of HAM10000, of evaluation sets, or of the set itself.

`ExactIndex` knows an image by its name in the ISIC Archive, its bytes, and its decoded pixels.
`NearIndex` also knows one that was scaled, compressed again, turned, mirrored or slightly cropped
under another name, by its perceptual hash. Whatever has the two methods of `DuplicateIndex` can be
passed to `importing.import_images`.
"""

import hashlib
import re
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from lentigo_trainer.data.perceptual_hash import (
    Colours,
    Fingerprints,
    Hashes,
    cell_colours,
    find_copied,
    image_hash,
)

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


@dataclass(slots=True)
class NearIndex:
    """Recognises images as `ExactIndex` does, and by their perceptual hash and colours."""

    exact: ExactIndex = field(default_factory=ExactIndex)
    described: list[str] = field(default_factory=list)
    _kept: list[tuple[Hashes, Colours]] = field(default_factory=list)
    _stacked: Fingerprints | None = None

    def add(self, image: DecodedImage, described: str) -> None:
        """Add an image."""
        self.exact.add(image, described)
        self.described.append(described)
        self._kept.append((image_hash(image.pixels), cell_colours(image.pixels)))
        self._stacked = None

    def find(self, image: DecodedImage) -> str | None:
        """Return how the same image was described, if it was added."""
        found = self.exact.find(image)
        if found is not None or not self._kept:
            return found
        if self._stacked is None:
            hashes, colours = zip(*self._kept, strict=True)
            self._stacked = Fingerprints(np.stack(hashes), np.stack(colours))
        row = find_copied(image.pixels, self._stacked)
        return None if row is None else self.described[row]


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
