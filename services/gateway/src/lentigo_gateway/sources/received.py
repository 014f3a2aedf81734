"""Images received by C-STORE, on the disk until they are answered.

Whoever sends by C-STORE may delete an image once we said that it arrived. So it is on the disk
before we say so, and is removed when its results are delivered.
"""

import math
import secrets
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

from lentigo_contract.system.files import flush_folder, open_plain, write_atomically
from lentigo_gateway.errors import BoundsError, InstanceGoneError, WorkListError
from lentigo_gateway.worklist.entries import RECEIVED

_FOLDER: Final = "received"
_SUFFIX: Final = ".dcm"


class ReceivedImages:
    """The folder of received images."""

    def __init__(self, folder: Path) -> None:
        """Keep them below this folder, which is the work list's.

        Raises:
            WorkListError: the folder cannot be made.
        """
        self._folder = folder / _FOLDER
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise WorkListError(
                f"The folder {self._folder} cannot be made: {error.strerror}."
            ) from error

    def keep(self, data: bytes) -> str:
        """Write an image to the disk and return its locator.

        Raises:
            OSError: the disk is full or not writable.
        """
        name = secrets.token_hex(16)
        write_atomically(self._folder / (name + _SUFFIX), data, mode=0o600)
        flush_folder(self._folder)
        return RECEIVED + name

    def read(self, locator: str, max_bytes: int) -> bytes:
        """Return an image.

        Raises:
            InstanceGoneError: it is not there.
            BoundsError: it has more bytes.
        """
        try:
            with open_plain(self._path(locator)) as file:
                data = file.read(max_bytes + 1)
        except OSError as error:
            raise InstanceGoneError("The received image is no longer on the disk.") from error
        if data is None or len(data) > max_bytes:
            raise BoundsError(f"The received image has more than {max_bytes:,} bytes.")
        return data

    def remove(self, locator: str) -> None:
        """Remove an image; nothing happens if it is not there."""
        self._path(locator).unlink(missing_ok=True)

    def sweep(self, needed: Callable[[], Collection[str]], before: float = math.inf) -> int:
        """Remove images that no entry needs, such as after a crash; return how many.

        Args:
            needed: gives the locators of those that are needed.
            before: only what was written earlier, in seconds since 1970: the listener writes an
                image to the disk before it puts it on the work list.

        Raises:
            OSError: one cannot be removed.
        """
        old = [path for path in self._folder.iterdir() if path.lstat().st_mtime < before]
        kept = needed()
        orphans = [each for each in old if RECEIVED + each.name.removesuffix(_SUFFIX) not in kept]
        for path in orphans:
            path.unlink(missing_ok=True)
        return len(orphans)

    def _path(self, locator: str) -> Path:
        return self._folder / (locator.removeprefix(RECEIVED) + _SUFFIX)
