"""A folder of the work folder, used by one process at a time."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lentigo_contract.errors import WorkFolderError
from lentigo_trainer.storage import storage_errors


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Make a folder if it is missing, and keep every other process out of it.

    The claim ends with the process, however that ends.

    Raises:
        WorkFolderError: another process is using it.
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
