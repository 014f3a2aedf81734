"""The file of API keys: read whole, written whole, and by one writer at a time."""

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from lentigo_contract.errors import KeyFileError
from lentigo_inference.api_keys import KeyRecord, KeyRing

_MAX_BYTES: Final = 2**20


def read_keys(path: Path) -> KeyRing:
    """Read a key file.

    Raises:
        KeyFileError: it is missing, unreadable or damaged.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise KeyFileError(
            f"The key file {path} cannot be read: {error.strerror}. Make one with "
            "`lentigo-inference keys add NAME --scope predict`, or unset LENTIGO_KEY_FILE."
        ) from error
    try:
        if len(content) > _MAX_BYTES:
            raise ValueError
        return KeyRing.model_validate_json(content)
    except ValueError as error:
        # What is wrong with it is not repeated: it holds hashes.
        raise KeyFileError(
            f"The key file {path} is damaged. Restore it, or make the keys anew with "
            "`lentigo-inference keys add`."
        ) from error


def add_key(path: Path, record: KeyRecord) -> None:
    """Add a key; the file is made if it is missing.

    Raises:
        KeyFileError: a key of that name exists, or the file cannot be read or written.
    """

    def added(ring: KeyRing) -> KeyRing:
        try:
            return KeyRing(keys=(*ring.keys, record))
        except ValidationError as error:
            raise KeyFileError(
                f'There is a key named "{record.name}". Choose another name, or remove that one '
                "first."
            ) from error

    _change(path, added)


def remove_key(path: Path, name: str) -> None:
    """Remove a key.

    Raises:
        KeyFileError: there is none of that name, or the file cannot be read or written.
    """

    def removed(ring: KeyRing) -> KeyRing:
        left = tuple(key for key in ring.keys if key.name != name)
        if len(left) == len(ring.keys):
            raise KeyFileError(
                f'There is no key named "{name}". `keys list` names those there are.'
            )
        return KeyRing(keys=left)

    _change(path, removed)


def _change(path: Path, change: Callable[[KeyRing], KeyRing]) -> None:
    try:
        with _locked(path.parent):
            ring = change(read_keys(path) if path.exists() else KeyRing())
            _replace(path, ring.model_dump_json(indent=2).encode() + b"\n")
    except OSError as error:
        raise KeyFileError(f"The key file {path} cannot be written: {error.strerror}.") from error


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other writers out. The folder is locked, because the file itself is replaced."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
        # What was renamed in it shall survive a power cut.
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _replace(path: Path, content: bytes) -> None:
    """Write a file of mode 0600 so that a reader sees the old one or the new one, whole."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink()
        raise
