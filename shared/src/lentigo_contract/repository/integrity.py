"""The files of a version: what they are when it is published, and whether they still are.

A version holds regular files in real folders and nothing else. A symbolic link could lead out of
the version, and a pipe or a device would block the reader, so neither is ever followed or opened.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from lentigo_contract.errors import DamagedVersionError, PublishError
from lentigo_contract.manifest.manifest import FileRecord
from lentigo_contract.repository.layout import MANIFEST_NAME, SIGNATURE_NAME
from lentigo_contract.system.files import open_plain

_RESTORE = "Remove the version or publish it again."


def record_files(folder: Path) -> dict[str, FileRecord]:
    """Describe every file under `folder`, by relative POSIX path in sorted order.

    Raises:
        PublishError: something is there that a version cannot hold.
        OSError: a file cannot be read.
    """
    records: dict[str, FileRecord] = {}
    for relative, entry in _walk(folder):
        if not entry.is_file(follow_symlinks=False):
            raise PublishError(
                f"{relative!r} is a link or a special file; a version holds plain files only. "
                "Write a copy of the content instead."
            )
        records[relative] = FileRecord(
            sha256=_sha256(entry.path), bytes=entry.stat(follow_symlinks=False).st_size
        )
    return dict(sorted(records.items()))


def check_files(folder: Path, expected: Mapping[str, FileRecord]) -> None:
    """Check that `folder` holds the manifest and exactly the files it lists, unchanged.

    A signature may be there too; whether it is good is for whoever has the key.

    Raises:
        DamagedVersionError: a file is missing, unexpected, changed or unreadable.
    """
    missing = set(expected)
    try:
        for relative, entry in _walk(folder):
            if not entry.is_file(follow_symlinks=False):
                raise DamagedVersionError(
                    f"{folder}: {relative!r} is a link or a special file; a version holds plain "
                    f"files only. {_RESTORE}"
                )
            if relative in {MANIFEST_NAME, SIGNATURE_NAME}:
                continue
            if relative not in expected:
                raise DamagedVersionError(
                    f"{folder}: {relative!r} is not listed in the manifest. Remove that file, or "
                    "publish the version again."
                )
            _check_file(folder, relative, entry, expected[relative])
            missing.discard(relative)
    except OSError as error:
        raise DamagedVersionError(
            f"{folder} cannot be read ({error.strerror or error}). Let this user read it, or "
            "publish the version again."
        ) from error
    if missing:
        raise DamagedVersionError(f"{folder}: {min(missing)!r} is missing. {_RESTORE}")


def _check_file(folder: Path, relative: str, entry: os.DirEntry[str], record: FileRecord) -> None:
    size = entry.stat(follow_symlinks=False).st_size
    if size != record.bytes:
        raise DamagedVersionError(
            f"{folder}: {relative!r} has {size:,} bytes, not {record.bytes:,}. {_RESTORE}"
        )
    if _sha256(entry.path) != record.sha256:
        raise DamagedVersionError(
            f"{folder}: {relative!r} has changed since it was published; its SHA-256 does not "
            f"match. {_RESTORE}"
        )


def _walk(folder: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Return everything but real folders, with its relative path; no link is followed."""
    pending = [("", os.fspath(folder))]
    while pending:
        prefix, path = pending.pop()
        with os.scandir(path) as entries:
            for entry in entries:
                relative = prefix + entry.name
                if entry.is_dir(follow_symlinks=False):
                    pending.append((relative + "/", entry.path))
                else:
                    yield relative, entry


def _sha256(path: str) -> str:
    # What was a plain file when it was listed may have become a link since.
    with open_plain(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
