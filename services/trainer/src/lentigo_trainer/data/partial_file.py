"""An unfinished download: `NAME.part`, which one process at a time may write.

`NAME.part.json` says which file of the server the bytes belong to, and which entity tag (RFC 9110,
8.8.3) it had when they came.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from lentigo_trainer.data.dataverse import RemoteFile
from lentigo_trainer.errors import DownloadError
from lentigo_trainer.system.storage import write_whole


class PartialFile:
    """An open `.part` file that this process has locked.

    Attributes:
        content: the bytes, opened for reading and appending.
        joined: whether the bytes came in more than one piece.
    """

    def __init__(self, content: BinaryIO, note: Path, file: RemoteFile) -> None:
        self.content = content
        self._note = note
        self._identity = {
            "url": file.url,
            "size": file.size,
            "check_sum": file.check_sum.value if file.check_sum else None,
        }
        if self._read_note().get("part_of") != self._identity:
            self.restart()
        self.joined = self.size > 0

    @property
    def size(self) -> int:
        """Number of bytes that have arrived."""
        return self.content.seek(0, os.SEEK_END)

    @property
    def etag(self) -> str:
        """Entity tag of the file that the bytes came from; empty if there is no strong one."""
        return str(self._read_note().get("etag", ""))

    def restart(self, etag: str = "") -> None:
        """Delete what has arrived; the bytes that follow have this entity tag."""
        if self.size:
            self.content.truncate(0)
        self.joined = False
        # A weak tag does not promise the same bytes, so it cannot be used to resume.
        kept = "" if etag.startswith("W/") else etag
        text = json.dumps({"part_of": self._identity, "etag": kept})
        write_whole(self._note, lambda file: file.write(text.encode()))

    def _read_note(self) -> dict[str, object]:
        try:
            found = json.loads(self._note.read_bytes())
        except (FileNotFoundError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


@contextmanager
def partial_file(target: Path, file: RemoteFile) -> Iterator[PartialFile]:
    """Open the part of `target`; on success, flush it and move it into place.

    Raises:
        DownloadError: another process is writing it.
        OSError: the disk is full or not writable; the part is kept.
    """
    path = target.with_name(f"{target.name}.part")
    note = target.with_name(f"{target.name}.part.json")
    # Append mode creates the file if it is missing, and never shortens it.
    with path.open("a+b") as content:
        _lock(content, path)
        yield PartialFile(content, note, file)
        content.flush()
        os.fsync(content.fileno())
        path.replace(target)
        note.unlink(missing_ok=True)


def _lock(content: BinaryIO, path: Path) -> None:
    try:
        fcntl.flock(content, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The previous owner of the lock may have moved the opened file into its place.
        ours = os.path.samestat(os.fstat(content.fileno()), path.stat())
    except (BlockingIOError, FileNotFoundError):
        ours = False
    if not ours:
        raise DownloadError(
            f"Another download is writing {path}. Wait for it to end, then run this again."
        )
