"""Reads feedback from the audit trail: all there is at start, and then what any instance adds.

The trail is the one source. So a service that starts again knows what was confirmed before, and
instances on one folder agree, whichever of them the feedback went to.
"""

import threading
from pathlib import Path
from typing import Final

from lentigo_inference.audit.chain import parse
from lentigo_inference.audit.folder import AuditFile, files_of, series_folders
from lentigo_inference.audit.records import FEEDBACK
from lentigo_inference.errors import AuditFileError
from lentigo_inference.monitoring.confirmed import ConfirmedAnswers, confirmed_in

# How a record of feedback reads, in lines that are mostly of answers. Looking for it is faster than
# parsing them.
_NEEDLE: Final = f'"kind":"{FEEDBACK}"'.encode("ascii")


class FeedbackFollower:
    """Keeps confirmed answers up to date with a trail. Safe from any thread; `refresh` blocks."""

    def __init__(self, folder: Path, confirmed: ConfirmedAnswers) -> None:
        """Prepare; nothing is read yet."""
        self._folder = folder
        self._confirmed = confirmed
        self._turn = threading.Lock()
        # The bytes of each file that were read: a number a day for each instance.
        self._read: dict[Path, int] = {}

    def refresh(self) -> None:
        """Read what was added since the last time. Whether it is sound is not checked.

        Raises:
            AuditFileError: the folder or a file cannot be read.
        """
        with self._turn:
            files = [
                file
                for _number, series in series_folders(self._folder)
                for file in files_of(series)
            ]
            for file in files:
                self._refresh_file(file)
            there = {file.path for file in files}
            self._read = {path: read for path, read in self._read.items() if path in there}

    def _refresh_file(self, file: AuditFile) -> None:
        try:
            for block in file.blocks(self._read.get(file.path, 0)):
                if _NEEDLE in block:
                    self._take(block)
                self._read[file.path] = self._read.get(file.path, 0) + len(block)
        except AuditFileError:
            # Retention may have removed it meanwhile.
            if file.path.exists():
                raise

    def _take(self, block: bytes) -> None:
        for line in block.split(b"\n"):
            record = parse(line) if _NEEDLE in line else None
            confirmed = confirmed_in(record) if record is not None else None
            if confirmed is not None:
                self._confirmed.add(confirmed)
