"""One file from a server to the disk: resumed where it broke off, checked, then put in place."""

import re
from pathlib import Path
from typing import Final

import httpx

from lentigo_contract.errors import DownloadError
from lentigo_trainer.dataverse import RemoteFile
from lentigo_trainer.file_check import check_file
from lentigo_trainer.partial_file import PartialFile, partial_file
from lentigo_trainer.system.progress import BYTES, Progress, Step
from lentigo_trainer.system.retrying import (
    InterruptedTransferError,
    Patience,
    connection_errors,
    patiently,
    require_status,
)
from lentigo_trainer.system.storage import require_space, storage_errors

_CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-\d+/(?:\d+|\*)")


def download(
    client: httpx.Client, file: RemoteFile, target: Path, progress: Progress, patience: Patience
) -> None:
    """Download a file, going on where an earlier call stopped.

    Args:
        client: follows redirects.
        file: what to download.
        target: where to; its folder exists, the file itself does not.
        progress: told how many bytes have come.
        patience: how often to try again.

    Raises:
        DownloadError: the server cannot be reached, refuses, or sends something else.
        StorageError: the disk is full or not writable; what has arrived is kept.
    """
    with storage_errors(target), partial_file(target, file) as part:
        if file.size is not None:
            require_space(target.parent, max(file.size - part.size, 0))
        _receive_all(client, file, part, progress, patience)
        try:
            check_file(part.content, file, progress)
        except DownloadError as wrong:
            joined = part.joined
            part.restart()
            if not joined:
                raise DownloadError(
                    f"{wrong} It was thrown away. Run the same command again; if it fails again, "
                    f"the server's copy is damaged: get {file.name} from another source."
                ) from wrong
            progress.say(f"{wrong} Its pieces did not fit together; starting it again.")
            _receive_all(client, file, part, progress, patience)
            check_file(part.content, file, progress)


def _receive_all(
    client: httpx.Client,
    file: RemoteFile,
    part: PartialFile,
    progress: Progress,
    patience: Patience,
) -> None:
    if file.size is not None and part.size == file.size:
        return
    with progress.track(f"Fetching {file.name}", file.size, BYTES, done=part.size) as step:
        patiently(lambda: _receive(client, file, part, step), patience, progress.say)


def _receive(client: httpx.Client, file: RemoteFile, part: PartialFile, step: Step) -> None:
    before = part.size
    try:
        with (
            connection_errors(file.url),
            client.stream("GET", file.url, headers=_headers(part)) as answer,
        ):
            _place(answer, part, step)
            before = part.size
            for chunk in answer.iter_bytes():
                part.content.write(chunk)
                step.advance(len(chunk))
                if file.size is not None and part.size > file.size:
                    # The check will say so; there is no need for the rest of it.
                    return
    except InterruptedTransferError as broken:
        broken.gained = part.size - before
        raise
    if file.size is not None and part.size < file.size:
        raise InterruptedTransferError(f"{file.name} ended early.", gained=part.size - before)


def _headers(part: PartialFile) -> dict[str, str]:
    # Encoded bytes could neither be joined nor be compared with the listed size.
    headers = {"Accept-Encoding": "identity"}
    if part.size:
        headers["Range"] = f"bytes={part.size}-"
        if part.etag:
            headers["If-Range"] = part.etag
    return headers


def _place(answer: httpx.Response, part: PartialFile, step: Step) -> None:
    """Make sure that what the answer brings goes on where the part ends."""
    done, etag = part.size, answer.headers.get("ETag", "")
    if done and answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
        step.advance(-done)
        part.restart()
        raise InterruptedTransferError("The server's file is shorter than what has arrived of it.")
    require_status(answer, httpx.codes.OK, httpx.codes.PARTIAL_CONTENT)
    if answer.status_code == httpx.codes.OK:
        # The server does not resume, or the file has changed: it comes from its first byte.
        step.advance(-done)
        part.restart(etag)
        return
    placed = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    if placed is None or int(placed[1]) != done or (part.etag and etag and etag != part.etag):
        step.advance(-done)
        part.restart()
        raise InterruptedTransferError("The server's file has changed since its download began.")
    part.joined = True
