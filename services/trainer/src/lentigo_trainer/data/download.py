"""HAM10000 from its Dataverse record into a folder: resumed where it broke off, and checked.

`fetch_ham10000` lists the record's files and downloads those that are missing. `partial_file` keeps
an unfinished download. A finished one is checked against the size and checksum that the server
lists, then moved to its place.
"""

import hashlib
import os
import re
from pathlib import Path
from typing import BinaryIO, Final

import httpx

from lentigo_trainer import __version__
from lentigo_trainer.data.dataverse import RemoteFile, list_files
from lentigo_trainer.data.partial_file import PartialFile, partial_file
from lentigo_trainer.errors import DownloadError
from lentigo_trainer.system.progress import BYTES, Progress, Step
from lentigo_trainer.system.retrying import (
    InterruptedTransferError,
    RetryPolicy,
    connection_errors,
    require_status,
    retry,
)
from lentigo_trainer.system.storage import require_space, storage_errors

HARVARD_DATAVERSE: Final = "https://dataverse.harvard.edu"

HAM10000: Final = "doi:10.7910/DVN/DBW86T"

FILES: Final = (
    "HAM10000_metadata.csv",
    "HAM10000_images_part_1.zip",
    "HAM10000_images_part_2.zip",
)
"""The files that training needs, as they are saved; the smallest first, to fail early."""

LICENCE: Final = (
    "HAM10000 (Tschandl, Rosendahl, Kittler 2018) is under CC BY-NC 4.0: for non-commercial use, "
    "with credit to its source."
)

# A server may need a while to response; a connection must be made sooner.
_TIMEOUT: Final = httpx.Timeout(60.0, connect=20.0)

_CHUNK: Final = 1 << 20

_CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-\d+/(?:\d+|\*)")


def fetch_ham10000(
    folder: Path,
    progress: Progress,
    server: str = HARVARD_DATAVERSE,
    policy: RetryPolicy | None = None,
) -> tuple[Path, ...]:
    """Download the metadata and both image archives, 3 GB, or what is missing of them.

    Args:
        folder: where to save; created if missing. An existing file is checked and kept.
        progress: shows the downloaded bytes.
        server: address of a Dataverse that has the record.
        policy: how often to retry; by default six times in a row, up to a minute apart.

    Returns:
        The three files, in the order of `FILES`.

    Raises:
        DownloadError: the server cannot be reached, refuses, or sends something else; or an
            existing file is not the one that the server lists.
        StorageError: the disk is full or not writable; what has arrived is kept.
    """
    policy = policy or RetryPolicy()
    agent = {"User-Agent": f"lentigo-train/{__version__}"}
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with httpx.Client(follow_redirects=True, timeout=_TIMEOUT, headers=agent) as client:
        remote_files = retry(lambda: list_files(client, server, HAM10000), policy, progress.say)
        targets = [(_named(name, remote_files, server), folder / name) for name in FILES]
        progress.say(LICENCE)
        for file, target in targets:
            if target.exists():
                _require_same(target, file, progress)
            else:
                download(client, file, target, progress, policy)
    return tuple(target for _, target in targets)


def download(
    client: httpx.Client, file: RemoteFile, target: Path, progress: Progress, policy: RetryPolicy
) -> None:
    """Download a file, resuming an earlier download.

    Args:
        client: follows redirects.
        file: what to download.
        target: where to save; its folder exists, the file itself does not.
        progress: shows the downloaded bytes.
        policy: how often to retry.

    Raises:
        DownloadError: the server cannot be reached, refuses, or sends something else.
        StorageError: the disk is full or not writable; what has arrived is kept.
    """
    with storage_errors(target), partial_file(target, file) as part:
        if file.size is not None:
            require_space(target.parent, max(file.size - part.size, 0))
        _receive_all(client, file, part, progress, policy)
        try:
            check_file(part.content, file, progress)
        except DownloadError as wrong:
            joined = part.joined
            part.restart()
            if not joined:
                raise DownloadError(
                    f"{wrong} It was deleted. Run the same command again; if it fails again, "
                    f"the server's copy is damaged: get {file.name} from another source."
                ) from wrong
            progress.say(f"{wrong} Its pieces did not fit together; starting it again.")
            _receive_all(client, file, part, progress, policy)
            check_file(part.content, file, progress)


def check_file(content: BinaryIO, file: RemoteFile, progress: Progress) -> None:
    """Compare a file's size and checksum with those that the server lists.

    The original of a table is checked by its size only, and the user is told; `dataverse` says why.

    Args:
        content: opened for reading.
        file: what it should be.
        progress: shows the bytes that were read, and what could not be checked.

    Raises:
        DownloadError: size or checksum differ, or the server lists neither.
    """
    size = content.seek(0, os.SEEK_END)
    if file.size is not None and size != file.size:
        raise DownloadError(f"{file.name} has {size:,} bytes; the server lists {file.size:,}.")
    if file.check_sum is not None:
        found = _sum_of(content, file.check_sum.algorithm, size, file.name, progress)
        if found == file.check_sum.value:
            return
        if not file.is_original:
            raise DownloadError(
                f"{file.name} has the checksum {found}; the server lists {file.check_sum.value}."
            )
    if file.size is None:
        raise DownloadError(
            f"{file.name} cannot be checked: the server lists neither its size nor a sum that fits."
        )
    progress.say(
        f"{file.name}: only its size was checked, for Dataverse lists no sum to rely on. What "
        "it says is checked by `lentigo-train prepare`."
    )


def _named(name: str, remote_files: tuple[RemoteFile, ...], server: str) -> RemoteFile:
    # Dataverse lists the metadata as .tab, whatever it was uploaded as.
    for file in remote_files:
        if Path(file.name).stem.casefold() == Path(name).stem.casefold():
            return file
    names = ", ".join(file.name for file in remote_files) or "no file at all"
    raise DownloadError(f"{server} lists no {Path(name).stem} for {HAM10000}; it lists {names}.")


def _require_same(target: Path, file: RemoteFile, progress: Progress) -> None:
    try:
        with storage_errors(target), target.open("rb") as content:
            check_file(content, file, progress)
    except DownloadError as other:
        raise DownloadError(
            f"{target} exists already, but is not the file of the server ({other}). It was not "
            "changed: move it away and run this again, or choose another folder."
        ) from other
    progress.say(f"{target.name} is there already.")


def _receive_all(
    client: httpx.Client,
    file: RemoteFile,
    part: PartialFile,
    progress: Progress,
    policy: RetryPolicy,
) -> None:
    if file.size is not None and part.size == file.size:
        return
    with progress.track(f"Fetching {file.name}", file.size, BYTES, done=part.size) as step:
        retry(lambda: _receive(client, file, part, step), policy, progress.say)


def _receive(client: httpx.Client, file: RemoteFile, part: PartialFile, step: Step) -> None:
    before = part.size
    try:
        with (
            connection_errors(file.url),
            client.stream("GET", file.url, headers=_headers(part)) as response,
        ):
            _place(response, part, step)
            before = part.size
            for chunk in response.iter_bytes():
                part.content.write(chunk)
                step.advance(len(chunk))
                if file.size is not None and part.size > file.size:
                    # `check_file` reports the wrong size; the rest is not needed.
                    return
    except InterruptedTransferError as broken:
        broken.gained = part.size - before
        raise
    if file.size is not None and part.size < file.size:
        raise InterruptedTransferError(f"{file.name} ended early.", gained=part.size - before)


def _headers(part: PartialFile) -> dict[str, str]:
    # Compressed bytes could not be resumed or compared with the listed size.
    headers = {"Accept-Encoding": "identity"}
    if part.size:
        headers["Range"] = f"bytes={part.size}-"
        if part.etag:
            headers["If-Range"] = part.etag
    return headers


def _place(response: httpx.Response, part: PartialFile, step: Step) -> None:
    """Check that the response continues where the part ends, or restart the part."""
    done, etag = part.size, response.headers.get("ETag", "")
    if done and response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
        step.advance(-done)
        part.restart()
        raise InterruptedTransferError("The server's file is shorter than what has arrived of it.")
    require_status(response, httpx.codes.OK, httpx.codes.PARTIAL_CONTENT)
    if response.status_code == httpx.codes.OK:
        # The server does not resume, or the file has changed: it is sent from its first byte.
        step.advance(-done)
        part.restart(etag)
        return
    placed = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if placed is None or int(placed[1]) != done or (part.etag and etag and etag != part.etag):
        step.advance(-done)
        part.restart()
        raise InterruptedTransferError("The server's file has changed since its download began.")
    part.joined = True


def _sum_of(content: BinaryIO, algorithm: str, size: int, name: str, progress: Progress) -> str:
    digest = hashlib.new(algorithm, usedforsecurity=False)
    content.seek(0)
    with progress.track(f"Checking {name}", size, BYTES) as step:
        while chunk := content.read(_CHUNK):
            digest.update(chunk)
            step.advance(len(chunk))
    return digest.hexdigest()
