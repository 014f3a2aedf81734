"""The model repository: publish, list, verify and open versions.

    <root>/<name>/<N>/              N = 1, 2, 3, ...; manifest.json and the files it lists
    <root>/<name>/.staging-*/       being written; readers ignore it

The layout is that of TensorFlow Serving, Triton and KServe. A version appears by one rename(2) of
a folder that is complete and flushed, so a reader sees all of it or nothing. Readers write nothing
and work on a read-only mount.
"""

import errno
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lentigo_contract.checksums import check_files, record_files
from lentigo_contract.errors import (
    DamagedVersionError,
    PublishError,
    StorageError,
    VersionNotFoundError,
)
from lentigo_contract.manifest import MANIFEST_NAME, Manifest
from lentigo_contract.staging import (
    FOLDER_MODE,
    clear_stale_staging,
    flush_file,
    flush_folder,
    make_durable,
    staging_folder,
)

# No leading zero, and within the 64-bit signed numbers that the other servers of this layout use.
_VERSION_NAME: Final = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)

_STORAGE_ERRORS: Final = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)
_NUMBER_TAKEN: Final = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """A version that was whole when it was opened.

    Attributes:
        path: its folder.
        version: its number.
        manifest: what it says of itself.
    """

    path: Path
    version: int
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class ModelStore:
    """The versions of one model under a repository's root, which need not exist yet."""

    root: Path
    name: str = "lentigo"

    @property
    def folder(self) -> Path:
        """The folder that holds the numbered versions."""
        return self.root / self.name

    def versions(self) -> list[int]:
        """Give the published numbers, ascending; empty if the repository does not exist yet.

        Only real folders with a canonical number and a manifest count. They are not checked.

        Raises:
            StorageError: the repository cannot be listed.
        """
        return sorted(int(name) for name in self._numbered() if self._is_version(name))

    def latest(self) -> int | None:
        """Give the highest published number, or None. Raises as `versions` does."""
        return max(self.versions(), default=None)

    def open(self, version: int) -> StoredVersion:
        """Read a version's manifest and check the size and the SHA-256 of every file.

        Raises:
            VersionNotFoundError: no such version.
            DamagedVersionError: not what was published.
            IncompatibleVersionError: whole, but not for this code.
        """
        if not self._is_version(str(version)):
            raise VersionNotFoundError(
                f"{self.folder} has no version {version}. Choose one of those there, or publish it."
            )
        opened = open_version_folder(self.folder / str(version))
        if (opened.manifest.name, opened.version) != (self.name, version):
            raise DamagedVersionError(
                f"{opened.path} holds {opened.manifest.name} {opened.version}, not {self.name} "
                f"{version}. Put the folder back under its own number, or publish the model anew."
            )
        return opened

    def verify(self, version: int) -> None:
        """Check a version as `open` does, and raise what it raises."""
        self.open(version)

    def publish(self, fill: Callable[[Path], Manifest]) -> StoredVersion:
        """Write a new version and make it visible under the next free number.

        Clears the staging folders of publishers that died. Whatever goes wrong, and wherever the
        process may be killed, readers keep what they had.

        Args:
            fill: writes the files into the folder it is given, which is empty, and returns their
                manifest with `version` and `files` left at their defaults. What it raises is
                raised again, except errors of the disk.

        Raises:
            StorageError: the disk is full, read-only or not ours to write.
            PublishError: what `fill` wrote cannot be a version.
            IncompatibleVersionError: its labels or input are not this code's.
        """
        with _storage_errors(self.folder):
            _make_readable_folders(self.folder)
            clear_stale_staging(self.folder)
            with staging_folder(self.folder) as staged:
                manifest = self._described(staged, fill(staged))
                make_durable(staged)
                return self._appear(staged, manifest)

    def _described(self, staged: Path, manifest: Manifest) -> Manifest:
        manifest.require_compatible("The new version's manifest")
        if manifest.name != self.name:
            raise PublishError(
                f"The manifest names the model {manifest.name}, but it is to be published as "
                f"{self.name}. Publish it to a store of its own name."
            )
        files = record_files(staged)
        if not files or MANIFEST_NAME in files:
            raise PublishError(
                "The new version has no files."
                if not files
                else f"The new version brings its own {MANIFEST_NAME}; publishing writes that file."
            )
        try:
            return Manifest.model_validate({**dict(manifest), "files": files})
        except ValueError as error:
            raise PublishError(
                f"The new version has a file whose name cannot be listed: {error}"
            ) from error

    def _appear(self, staged: Path, manifest: Manifest) -> StoredVersion:
        """Write the manifest, last of all files, and rename to the first number that is free."""
        number = max((int(name) for name in self._numbered()), default=0) + 1
        while True:
            numbered = manifest.model_copy(update={"version": number})
            written = staged / MANIFEST_NAME
            written.write_text(numbered.to_json(), encoding="utf-8")
            flush_file(written)
            flush_folder(staged)
            target = self.folder / str(number)
            if _renamed(staged, target):
                break
            number += 1
        # The version is whole and visible from here on. If the disk cannot promise to keep its name
        # through a power cut, that is no reason to report that it was not published.
        with suppress(OSError):
            flush_folder(self.folder)
        return StoredVersion(path=target, version=number, manifest=numbered)

    def _numbered(self) -> list[str]:
        """Give every name that could be a version's, whatever stands behind it."""
        try:
            names = [entry.name for entry in self.folder.iterdir()]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StorageError(
                f"The model repository {self.folder} cannot be listed ({error.strerror}). "
                "Check that it is a folder which this user may read."
            ) from error
        return [name for name in names if _VERSION_NAME.fullmatch(name)]

    def _is_version(self, name: str) -> bool:
        if not _VERSION_NAME.fullmatch(name):
            return False
        folder = self.folder / name
        try:
            return not folder.is_symlink() and (folder / MANIFEST_NAME).is_file()
        except PermissionError:
            # It is there, and opening it will say what is wrong; skipping it would hide that.
            return True


def open_version_folder(path: Path) -> StoredVersion:
    """Open a version by its folder, such as `models/lentigo/1`, checking every file.

    Raises:
        VersionNotFoundError: not a folder with a manifest.
        DamagedVersionError: not what was published.
        IncompatibleVersionError: whole, but not for this code.
    """
    manifest_file = path / MANIFEST_NAME
    if not os.path.lexists(manifest_file):
        raise VersionNotFoundError(
            f"{path} holds no published version: it has no {MANIFEST_NAME}. "
            "Give the folder of a version, such as models/lentigo/1."
        )
    manifest = Manifest.read(manifest_file)
    check_files(path, manifest.files)
    return StoredVersion(path=path, version=manifest.version, manifest=manifest)


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
    except OSError as error:
        if error.errno not in _STORAGE_ERRORS:
            raise
        raise StorageError(
            f"Nothing was published to {folder}: {error.strerror or error}. Free space on that "
            "disk, or choose a model repository that this user may write to, and publish again."
        ) from error
