"""Writing a version so that readers see all of it or nothing.

Everything is written and flushed in a staging folder, which readers ignore, the manifest last;
then one rename(2) gives the folder its number. Whenever the process is killed, readers keep what
they had.

    .staging-<uuid>/lock        held with flock(2) while its publisher lives
    .staging-<uuid>/version/    what will be renamed to the version's number

The kernel drops the lock when the publisher ends, however it ends, so a staging folder whose lock
can be taken is stale. On a file system without locks nothing is ever taken for stale.
"""

import errno
import fcntl
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from lentigo_contract.errors import LentigoError, PublishError, StorageError
from lentigo_contract.manifest.manifest import Manifest
from lentigo_contract.repository.integrity import record_files
from lentigo_contract.repository.layout import (
    FILE_MODE,
    FOLDER_MODE,
    MANIFEST_NAME,
    SIGNATURE_NAME,
    STAGING_PREFIX,
    is_version_name,
    version_names,
)
from lentigo_contract.system.files import flush, flush_folder, is_of_the_disk

_LOCK_NAME: Final = "lock"
_VERSION_NAME: Final = "version"

_NO_LOCKS_HERE: Final = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


@contextmanager
def staging_folder(model_folder: Path) -> Iterator[Path]:
    """Make a staging folder, yield the folder to fill, and remove what is left at the end.

    Raises:
        OSError: it cannot be made.
    """
    while True:
        staging = model_folder / f"{STAGING_PREFIX}{uuid.uuid4().hex}"
        staging.mkdir()
        lock = _take_lock(staging)
        # Another publisher may have met the folder before its lock was held, and cleared it.
        if lock is not None:
            break
    try:
        version = staging / _VERSION_NAME
        version.mkdir()
        version.chmod(FOLDER_MODE)
        yield version
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        os.close(lock)


def clear_stale_staging(model_folder: Path) -> None:
    """Remove the staging folders of publishers that have ended, as far as possible."""
    for staging in model_folder.glob(f"{STAGING_PREFIX}*"):
        with suppress(OSError):
            lock = None if staging.is_symlink() else _take_lock(staging, required=True)
            if lock is not None:
                shutil.rmtree(staging, ignore_errors=True)
                os.close(lock)


def _take_lock(staging: Path, *, required: bool = False) -> int | None:
    """Lock a staging folder; None if another publisher holds it or it has just been cleared."""
    path = staging / _LOCK_NAME
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(lock), path.stat()):
            return lock
    except (BlockingIOError, FileNotFoundError):
        pass
    except OSError as error:
        if error.errno in _NO_LOCKS_HERE and not required:
            return lock
        os.close(lock)
        raise
    os.close(lock)
    return None


_NUMBER_TAKEN: Final = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)


def publish_version(
    folder: Path,
    name: str,
    fill: Callable[[Path], Manifest],
    sign: Callable[[Path], object] | None = None,
) -> Manifest:
    """Publish what `fill` writes as the next version of the model `name`; see `ModelStore.publish`.

    Returns:
        The manifest as it was published, with number and check sums.
    """
    with _storage_errors(folder):
        _make_readable_folders(folder)
        clear_stale_staging(folder)
        with staging_folder(folder) as staged:
            manifest = _described(staged, fill(staged), name)
            _make_durable(staged)
            return _appear(staged, folder, manifest, sign)


def place_version(folder: Path, fill: Callable[[Path], int]) -> bool:
    """Put a version that was published elsewhere into a model's folder, under its own number.

    Args:
        folder: of the model, such as `models/lentigo`; it is made if it is not there.
        fill: writes the files of the version into an empty folder, checks them, and returns the
            number. Nothing is added to them.

    Returns:
        Whether it was placed; False if there is something under that number.
    """
    with _storage_errors(folder):
        _make_readable_folders(folder)
        clear_stale_staging(folder)
        with staging_folder(folder) as staged:
            number = fill(staged)
            _make_durable(staged)
            placed = _renamed(staged, folder / str(number))
            with suppress(OSError):
                flush_folder(folder)
            return placed


def _described(staged: Path, manifest: Manifest, name: str) -> Manifest:
    """Add the files to the manifest, having checked that both can be a version."""
    manifest.require_compatible("The new version's manifest")
    if manifest.name != name:
        raise PublishError(
            f"The manifest names the model {manifest.name}, but it is to be published as {name}. "
            "Publish it to a store of its own name."
        )
    files = record_files(staged)
    if not files:
        raise PublishError("The new version has no files. Write the model before publishing it.")
    for written_later in (MANIFEST_NAME, SIGNATURE_NAME):
        if written_later in files:
            raise PublishError(
                f"The new version brings its own {written_later}, which is for publishing to "
                "write. Leave it out."
            )
    try:
        return Manifest.model_validate({**dict(manifest), "files": files})
    except ValueError as error:
        raise PublishError(
            f"The new version has a file with an impossible name: {error}"
        ) from error


def _make_durable(staged: Path) -> None:
    """Set the modes of what was written and flush it, files before the folders that name them."""
    for path, folders, files in os.walk(staged, topdown=False):
        for name in files:
            _flush_file(Path(path, name))
        for name in folders:
            Path(path, name).chmod(FOLDER_MODE)
        flush_folder(Path(path))


def _appear(
    staged: Path, folder: Path, manifest: Manifest, sign: Callable[[Path], object] | None
) -> Manifest:
    """Write the manifest and the signature, last of all, and rename to the first free number."""
    number = max(map(int, version_names(folder)), default=0) + 1
    while is_version_name(str(number)):
        numbered = manifest.model_copy(update={"version": number})
        written = staged / MANIFEST_NAME
        written.write_text(numbered.to_json(), encoding="utf-8")
        _flush_file(written)
        if sign is not None:
            # It is over the manifest, which has the number.
            sign(staged)
            _flush_file(staged / SIGNATURE_NAME)
        flush_folder(staged)
        if _renamed(staged, folder / str(number)):
            # The version is whole and visible from here on. If the disk cannot promise to keep its
            # name through a power cut, that is no reason to report that it was not published.
            with suppress(OSError):
                flush_folder(folder)
            return numbered
        number += 1
    raise PublishError(f"{folder} has no number left above {number - 1}. Remove that folder.")


def _renamed(staged: Path, target: Path) -> bool:
    """Rename to `target` unless something is there; rename(2) alone would replace an empty folder.

    Between two publishers rename(2) decides, because it replaces no folder with a file in it.
    """
    if os.path.lexists(target):
        return False
    try:
        staged.rename(target)
    except OSError as error:
        if error.errno in _NUMBER_TAKEN:
            return False
        raise
    return True


def _flush_file(path: Path) -> None:
    path.chmod(FILE_MODE)
    flush(path, os.O_RDONLY)


def _make_readable_folders(folder: Path) -> None:
    """Make a folder and its parents, readable for every user whatever the umask says."""
    if folder.is_dir():
        return
    _make_readable_folders(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir()
        folder.chmod(FOLDER_MODE)


@contextmanager
def _storage_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except LentigoError:
        raise
    except Exception as error:
        if not is_of_the_disk(error):
            raise
        raise StorageError(
            f"Nothing was published to {folder}: {error}. Free space on that disk, or choose a "
            "model repository that this user may write to, and publish again."
        ) from error
