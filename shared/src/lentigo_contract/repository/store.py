"""The model repository: publish, list, verify and open versions.

Readers write nothing and work on a read-only mount. `layout` says what lies where, `publishing`
how a version appears.

A model to begin with, for a repository that has none yet.
"""

import hashlib
import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lentigo_contract.errors import (
    DamagedVersionError,
    NoVersionError,
    PublishError,
    VersionNotFoundError,
)
from lentigo_contract.manifest.manifest import Manifest, read_manifest_bytes
from lentigo_contract.repository.integrity import check_files
from lentigo_contract.repository.layout import MANIFEST_NAME, is_version_name, version_names
from lentigo_contract.repository.publishing import place_version, publish_version


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """A version that was whole when it was opened.

    Attributes:
        path: its folder.
        version: its number.
        manifest: what it says of itself.
        manifest_sha256: hex digest of the bytes that say so. They have the digest of every other
            file, so it stands for the whole version.
    """

    path: Path
    version: int
    manifest: Manifest
    manifest_sha256: str


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
        """Return the published numbers, ascending; empty if the repository does not exist yet.

        Only real folders with a canonical number and a manifest count. They are not checked.

        Raises:
            StorageError: the repository cannot be listed.
        """
        return sorted(int(name) for name in version_names(self.folder) if self._holds(name))

    def latest(self) -> int | None:
        """Return the highest published number, or None. Raises as `versions` does."""
        return max(self.versions(), default=None)

    def open(self, version: int) -> StoredVersion:
        """Read a version's manifest and check the size and the SHA-256 of every file.

        Raises:
            VersionNotFoundError: no such version.
            DamagedVersionError: not what was published.
            IncompatibleVersionError: whole, but not for this code.
        """
        if not self._holds(str(version)):
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

    def publish(
        self,
        fill: Callable[[Path], Manifest],
        sign: Callable[[Path], object] | None = None,
    ) -> StoredVersion:
        """Write a new version and make it visible under the next free number.

        Clears the staging folders of publishers that died. Whatever goes wrong, and wherever the
        process may be killed, readers keep what they had. Two publishers at once both succeed.

        Args:
            fill: writes the files into an empty folder, and returns their
                manifest with `version` and `files` left at their defaults. What it raises is
                raised again, except errors of the disk.
            sign: writes the signature into the folder of the whole version, before it appears.

        Raises:
            StorageError: the disk is full, read-only or not ours to write.
            PublishError: what `fill` wrote cannot be a version.
            IncompatibleVersionError: its labels or input are not this code's.
        """
        manifest = publish_version(self.folder, self.name, fill, sign)
        path = self.folder / str(manifest.version)
        return _stored(path, manifest, manifest.to_json().encode())

    def receive(self, fill: Callable[[Path], StoredVersion]) -> StoredVersion:
        """Take a version that was published elsewhere, as it is, under its own number.

        One that is here already is left as it is.

        Args:
            fill: writes the version into an empty folder, and opens it there.

        Raises:
            PublishError: another version has that number.
            StorageError: the disk is full, read-only or not ours to write.
            DamagedVersionError, IncompatibleVersionError, VersionNotFoundError: what was written is
                no version of this model.
        """
        received: list[StoredVersion] = []

        def fill_and_keep(staged: Path) -> int:
            version = fill(staged)
            if version.manifest.name != self.name:
                raise PublishError(
                    f"What was received is a version of {version.manifest.name}, not of "
                    f"{self.name}. Receive it into a store of its own name."
                )
            received.append(version)
            return version.version

        placed = place_version(self.folder, fill_and_keep)
        number, digest = received[0].version, received[0].manifest_sha256
        stored = self.open(number)
        if not placed and stored.manifest_sha256 != digest:
            raise PublishError(
                f"{stored.path} is another version than the one that was received. Remove it, or "
                "publish yours under another number."
            )
        return stored

    def _holds(self, name: str) -> bool:
        return (
            is_version_name(name)
            and not _is_link(self.folder / name)
            and _has_manifest(self.folder / name)
        )


def open_version_folder(path: Path) -> StoredVersion:
    """Open a version by its folder, such as `models/lentigo/6`, checking every file.

    Raises:
        VersionNotFoundError: not a folder with a manifest.
        DamagedVersionError: not what was published.
        IncompatibleVersionError: whole, but not for this code.
    """
    if not _has_manifest(path):
        raise VersionNotFoundError(
            f"{path} holds no published version: it has no {MANIFEST_NAME}. "
            "Give the folder of a version, such as models/lentigo/6."
        )
    # Read once, so that the digest is of what was parsed.
    written = read_manifest_bytes(path / MANIFEST_NAME)
    manifest = Manifest.from_json(written, where=str(path / MANIFEST_NAME))
    check_files(path, manifest.files)
    return _stored(path, manifest, written)


def _stored(path: Path, manifest: Manifest, written: bytes) -> StoredVersion:
    return StoredVersion(path, manifest.version, manifest, hashlib.sha256(written).hexdigest())


def _is_link(folder: Path) -> bool:
    try:
        return stat.S_ISLNK(folder.lstat().st_mode)
    except OSError:
        return False


def _has_manifest(folder: Path) -> bool:
    try:
        (folder / MANIFEST_NAME).lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        # Something is there, and opening it reports what is wrong; to skip it would hide that.
        return True
    return True


def seed(shipped: ModelStore, repository: ModelStore) -> StoredVersion | None:
    """Publish the newest shipped version as the first of an empty repository.

    A repository that holds a version, or anything under a version's name, is left as it is, so this
    can run at every start.

    Returns:
        What was published, or None if there was something already.

    Raises:
        NoVersionError: nothing is shipped.
        DamagedVersionError: what is shipped is not whole.
        StorageError: the repository cannot be listed or written, or its disk is full.
    """
    if version_names(repository.folder):
        return None
    newest = shipped.latest()
    if newest is None:
        raise NoVersionError(
            f"{shipped.folder} holds no version to begin with. Give the folder of a model "
            "repository, such as the models/ that comes with Lentigo."
        )
    version = shipped.open(newest)

    def fill(staging: Path) -> Manifest:
        for name in version.manifest.files:
            place = staging / name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(version.path / name, place)
        return version.manifest

    return repository.publish(fill)
