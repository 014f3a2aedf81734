"""Fetches a signed version of a model from an address, for machines that share no volume.

The archive is unpacked beside the repository's versions, verified there by its signature, and only
then renamed to its number. Whoever controls the address can therefore bring nothing into use that
was not signed, and can fill no more of the disk than the limit.
"""

import gzip
import shutil
import tarfile
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Final, cast
from urllib.parse import urlsplit

from lentigo_contract.repository.layout import MANIFEST_NAME
from lentigo_contract.repository.store import ModelStore, StoredVersion, open_version_folder
from lentigo_contract.system.files import is_full_disk
from lentigo_inference.errors import ModelFetchError
from lentigo_inference.security.model_signature import ModelKeys

if TYPE_CHECKING:
    import httpx

_CHUNK: Final = 2**18
_SILENCE_S: Final = 30.0
_MAX_FILES: Final = 10_000
# The folder of a version in the archive, such as 4/, lentigo/4/ or none.
_MAX_DEPTH: Final = 3

_PACK: Final = "Pack the folder of one version: tar -czf 4.tar.gz -C models/lentigo 4"


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """Of one fetch.

    Attributes:
        max_bytes: of the archive, and of what is unpacked from it.
        timeout_s: seconds for the download.
    """

    max_bytes: int = 512 * 2**20
    timeout_s: float = 600.0


def fetch_version(
    address: str,
    store: ModelStore,
    keys: ModelKeys,
    limits: FetchLimits | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> StoredVersion:
    """Fetch a version into a repository, under the number that it was published and signed with.

    A version that is there already is left as it is.

    Args:
        address: http or https URL of a tar archive, plain or with gzip, of one version's folder.
            TLS is not required: the signature holds for every byte.
        store: the repository.
        keys: whose signatures count.
        limits: of size and time.
        clock: monotonic seconds.

    Raises:
        ModelFetchError: it cannot be fetched, is too large, or is no such archive.
        UntrustedVersionError: none of the keys signed it as it is.
        RepositoryError, StorageError: as `ModelStore.receive`.
    """
    limits = limits or FetchLimits()

    def fill(staged: Path) -> StoredVersion:
        # Beside the version, in the staging folder, so that it is cleared with it.
        archive, unpacked = staged.parent / "archive", staged.parent / "unpacked"
        _download(address, archive, limits, clock)
        _unpack(archive, unpacked, limits.max_bytes)
        for child in _version_folder(unpacked).iterdir():
            child.rename(staged / child.name)
        version = open_version_folder(staged)
        keys.verify(version)
        return version

    return store.receive(fill)


def _download(address: str, archive: Path, limits: FetchLimits, clock: Callable[[], float]) -> None:
    import httpx  # noqa: PLC0415 - as in `oidc.documents`

    shown = _without_secrets(address)
    ends_at = clock() + limits.timeout_s
    try:
        with (
            httpx.Client(follow_redirects=True, timeout=_SILENCE_S) as client,
            client.stream("GET", address, headers={"Accept-Encoding": "identity"}) as response,
            archive.open("wb") as file,
        ):
            _require_success(response, shown)
            size = 0
            for chunk in response.iter_raw(_CHUNK):
                size += len(chunk)
                if size > limits.max_bytes:
                    raise _too_large(shown, limits.max_bytes)
                if clock() > ends_at:
                    raise ModelFetchError(
                        f"{shown} was not read within {limits.timeout_s:g} s. Try again, or allow "
                        "more time with --timeout-s."
                    )
                file.write(chunk)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        # Its own words may have the address with its query.
        raise ModelFetchError(
            f"{shown} cannot be fetched ({type(error).__name__}). Check the address, and that this "
            "machine may connect to it."
        ) from error


def _require_success(response: "httpx.Response", shown: str) -> None:
    if response.status_code != HTTPStatus.OK:
        raise ModelFetchError(
            f"{shown} answered with status {response.status_code}. Check the address, and whether "
            "it has expired."
        )


def _without_secrets(address: str) -> str:
    """Return an address without user, password and query; presigned addresses are secrets."""
    try:
        parts = urlsplit(address)
        host = parts.hostname
    except ValueError:
        parts, host = urlsplit(""), None
    if not host or parts.scheme not in {"http", "https"}:
        raise ModelFetchError("The address must begin with https:// or http:// and a host.")
    return f"{parts.scheme}://{host}{parts.path}"


def _too_large(what: str, most: int) -> ModelFetchError:
    return ModelFetchError(
        f"{what} has more than {most:,} bytes. If that is right, allow more with --max-bytes."
    )


class _Bounded:
    """Reads a file up to a limit, so that a small archive does not unpack into a large one."""

    def __init__(self, source: IO[bytes], most: int) -> None:
        self._source, self._most, self._left = source, most, most

    def read(self, size: int) -> bytes:
        content = self._source.read(size)
        self._left -= len(content)
        if self._left < 0:
            raise _too_large("What is unpacked", self._most)
        return content


def _unpack(archive: Path, folder: Path, max_bytes: int) -> None:
    """Unpack plain files and folders, and refuse an archive with anything else."""
    folder.mkdir()
    try:
        with _opened(archive) as source:
            bounded = cast(IO[bytes], _Bounded(source, max_bytes))
            with tarfile.open(fileobj=bounded, mode="r|") as tar:
                for number, member in enumerate(tar):
                    _require_plain(member, number)
                    _write(tar, member, folder)
    except (tarfile.TarError, EOFError, zlib.error, OSError, ValueError) as error:
        if is_full_disk(error):
            raise
        raise ModelFetchError(
            f"What was fetched is no whole tar archive ({type(error).__name__}). {_PACK}"
        ) from error


def _opened(archive: Path) -> IO[bytes]:
    with archive.open("rb") as file:
        is_gzip = file.read(2) == b"\x1f\x8b"
    return cast(IO[bytes], gzip.open(archive)) if is_gzip else archive.open("rb")


def _require_plain(member: tarfile.TarInfo, number: int) -> None:
    if number >= _MAX_FILES:
        raise ModelFetchError(f"The archive has more than {_MAX_FILES:,} files. {_PACK}")
    if not (member.isreg() or member.isdir()) or member.issparse():
        raise ModelFetchError(
            f"{member.name[:100]!r} in the archive is a link or a special file; a version holds "
            "plain files only."
        )
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts:
        raise ModelFetchError(f"{member.name[:100]!r} in the archive leads out of its folder.")


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    """Write one file; `TarFile.extract` is safe from Python 3.11.4 on, which not everybody has."""
    place = folder / member.name
    if member.isdir():
        place.mkdir(parents=True, exist_ok=True)
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    content = tar.extractfile(member)
    if content is not None:
        with place.open("xb") as file:
            shutil.copyfileobj(content, file, _CHUNK)


def _version_folder(unpacked: Path) -> Path:
    found = [
        path.parent
        for depth in range(_MAX_DEPTH)
        for path in unpacked.glob("*/" * depth + MANIFEST_NAME)
    ]
    if len(found) != 1:
        raise ModelFetchError(
            f"The archive has {len(found)} files {MANIFEST_NAME}, not one. {_PACK}"
        )
    return found[0]
