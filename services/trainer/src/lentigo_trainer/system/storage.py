"""Files on disk: whole files or nothing, errors that say what to do, and locked folders."""

import fcntl
import io
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from lentigo_contract.errors import LentigoError, StorageError
from lentigo_contract.system.files import is_full_disk, is_of_the_disk, write_atomically
from lentigo_trainer.errors import DamagedCacheError, WorkFolderError


def write_whole(path: Path, content: bytes | Callable[[BinaryIO], object]) -> None:
    """Write a file atomically, see `write_atomically`, and make its folder if it is missing.

    Raises:
        StorageError: the disk is full or not writable; the file is unchanged.
    """
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)


def read_arrays(file: Path, remedy: str) -> dict[str, npt.NDArray[Any]]:
    """Read all arrays of an .npz file into memory, by name.

    Args:
        file: that this program wrote.
        remedy: what to do if it cannot be read, a sentence.

    Raises:
        DamagedCacheError: it is missing, cut off or damaged, or holds objects.
    """
    try:
        with np.load(io.BytesIO(file.read_bytes())) as arrays:
            return dict(arrays)
    # A file of another kind, such as .npy, gives an array without this context.
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise DamagedCacheError(f"{file} cannot be read. {remedy}") from error


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn the error of a full or unwritable disk into a `StorageError` that says what to do."""
    try:
        yield
    except LentigoError:
        raise
    except Exception as error:
        if is_full_disk(error):
            raise StorageError(
                f"The disk that holds {path} is full. Free some space and run the same command "
                "again; what is finished is kept."
            ) from error
        if is_of_the_disk(error) or isinstance(error, FileExistsError | IsADirectoryError):
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise StorageError(
                f"{path} cannot be written ({reason}). Check what is there, its owner and its "
                "mount, or choose another folder."
            ) from error
        raise


def require_space(folder: Path, needed: int) -> None:
    """Check for free space before a long write.

    Args:
        folder: an existing folder on the disk.
        needed: bytes that are still to be written.

    Raises:
        StorageError: there is less free space.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise StorageError(
            f"{folder} needs {needed / 1e9:.1f} GB of free space; {free / 1e9:.1f} GB are free. "
            "Free some, or choose a folder on a larger disk."
        )


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a folder for this process within the block; create it if it is missing.

    The lock ends with the process, however that ends.

    Raises:
        WorkFolderError: another process has locked it.
        StorageError: the folder cannot be written.
    """
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise WorkFolderError(
                f"Another run is using {folder}. Wait for it, or choose another --work."
            ) from error
        yield
