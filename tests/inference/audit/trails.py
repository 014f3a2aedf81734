"""A trail that a test writes, and may then tamper with."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from lentigo_inference.audit.folder import files_of, records_of
from lentigo_inference.audit.records import (
    Caller,
    Confirmation,
    ModelInUse,
    Said,
    answer,
    feedback,
)
from lentigo_inference.audit.signing import Verifier, make_key, read_signer
from lentigo_inference.audit.verification import SeriesReport, verify
from lentigo_inference.audit.writer import ChainWriter, WriterLimits
from lentigo_inference.observability.identifiers import uuid7

NOON = 1_764_504_000.0
"""2025-11-30 12:00 UTC."""

CALLER = Caller("request-1", "ward-7", "10.0.0.1")
MODEL = ModelInUse("lentigo", 3, "f" * 64, "litert", {"decided_by": "balanced", "force": False})
SAID = Said("nv", {"nv": 0.75, "mel": 0.25}, 0.25, 0.2, True, ["malignancy"], [])


@dataclass
class Clock:
    """A clock that goes when the test says so."""

    now: float = NOON

    def __call__(self) -> float:
        return self.now


@dataclass
class Trail:
    """A folder with a key, and writers of it."""

    folder: Path
    key: Path
    clock: Clock = field(default_factory=Clock)

    def writer(self, **limits: float) -> ChainWriter:
        chosen = WriterLimits(**limits)  # type: ignore[arg-type]
        return ChainWriter(self.folder, read_signer(self.key), chosen, self.clock)

    def write(self, records: int = 10, **limits: float) -> None:
        """Write so many answers, one at a time, and close."""
        writer = self.writer(**limits)
        for number in range(records):
            writer.write([self.answer(image=f"{number:064x}")])
        writer.close()

    def answer(self, *, image: str = "a" * 64, answer_id: str | None = None) -> dict[str, Any]:
        milliseconds = int(self.clock.now * 1000)
        return answer(answer_id or str(uuid7(milliseconds)), CALLER, image, SAID, MODEL)

    def feedback(
        self, answered: dict[str, Any], diagnosis: str, confirmed_by: Confirmation
    ) -> dict[str, Any]:
        return feedback(str(uuid7()), CALLER, answered, diagnosis, confirmed_by)

    def files(self, series: int = 1) -> list[Path]:
        return [file.path for file in files_of(self.folder / str(series))]

    def records(self, series: int = 1) -> list[dict[str, Any]]:
        return [
            json.loads(line)
            for file in self.files(series)
            for line in file.read_bytes().splitlines()
        ]

    def records_of_whole_lines(self) -> list[dict[str, Any]]:
        """The same, without what is no whole record."""
        return [record for file in files_of(self.folder / "1") for record in records_of(file)]

    def tamper(
        self, change: Callable[[list[bytes]], Sequence[bytes] | None], file: int = 0
    ) -> None:
        """Change the lines of a file, as somebody with an editor would."""
        path = self.files()[file]
        lines = path.read_bytes().splitlines(keepends=True)
        changed = change(lines)
        path.write_bytes(b"".join(lines if changed is None else changed))

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        return [record for record in self.records_of_whole_lines() if record["kind"] == kind]

    def verify(self, *heads: str, keys: Sequence[Path] = ()) -> tuple[SeriesReport, ...]:
        self.verified = verify(self.folder, Verifier(keys or [self.public]), heads)
        return self.verified.series

    def found(self, *heads: str) -> list[tuple[str, int]]:
        """What verifying finds: the flaw, and the number of the record."""
        return [
            (finding.flaw, finding.seq)
            for report in self.verify(*heads)
            for finding in report.findings
        ]

    @property
    def public(self) -> Path:
        return self.key.with_name(f"{self.key.name}.pub")


def made_trail(tmp_path: Path) -> Trail:
    """Make an empty trail and its key."""
    folder, key = tmp_path / "audit", tmp_path / "audit.key"
    folder.mkdir()
    make_key(key)
    return Trail(folder, key)


def id_at(seconds: float) -> UUID:
    """Make an id of that time."""
    return uuid7(int(seconds * 1000))
