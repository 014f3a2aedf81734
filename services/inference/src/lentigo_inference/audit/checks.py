"""What is wrong with a chain: records that were edited, removed, swapped or forged, by their names.

One pass, record by record, so a trail of any size needs the same memory. The number of each record
is compared with its place, its `prev` with the line before, and each checkpoint with its signature.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from lentigo_inference.audit.chain import CHECKPOINT, GENESIS, Link, parse, signed_part
from lentigo_inference.audit.records import RETENTION
from lentigo_inference.audit.signing import Verifier

Flaw = Literal["edited", "removed", "swapped", "inserted", "truncated", "forged"]

# Findings that are listed and places that are remembered. Of a trail in shreds it is enough.
_MOST: Final = 1000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        flaw: what was done.
        seq: number of the first record that it concerns.
        text: the whole of it, for people.
    """

    flaw: Flaw
    seq: int
    text: str


@dataclass(slots=True)
class ChainCheck:
    """The state of checking one chain: `take` its lines in order, and then `finish`.

    Attributes:
        verifier: has the trusted keys.
        heads: digests of records that must be there; those that are found are taken out.
        findings: what is wrong, in the order in which it was noticed.
        unlisted: number of further findings.
        link: the record before; None at the beginning.
        vouched: number of the last checkpoint with a good signature.
        closed: whether the last record is the checkpoint that closes a file.
    """

    verifier: Verifier
    heads: set[str] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)
    unlisted: int = 0
    link: Link | None = None
    vouched: int = 0
    closed: bool = False
    # Where the chain begins, and whether retention let it begin there.
    _begins: Link = field(default_factory=Link)
    _excused: bool = False
    # By their places, the numbers of records that stand in the place of another.
    _misplaced: dict[int, int] = field(default_factory=dict)
    # Whether the line before is known not to be what was chained.
    _doubtful: bool = False

    def take(self, line: bytes, following: int | None) -> dict[str, Any] | None:
        """Check the next line.

        Args:
            line: as it stands in the file, without its newline.
            following: the number that the line after it gives itself, if it gives any.

        Returns:
            Its record, if it stands where it belongs.
        """
        record = parse(line)
        if self.link is None:
            self._begins = self.link = _before(record)
        place = self.link.seq + 1
        if record is None:
            self.blame("edited", place, f"record {place} was edited: it is no record any more")
            self._stand(line, place, doubtful=True)
            return None
        seq: int = record["seq"]
        if seq == place:
            if record["prev"] != self.link.digest and not self._doubtful:
                self._blame_before(record, line)
            self._stand(line, place)
            self._read(record, line)
            return record
        if following == place + 1 or (seq == place + 1 and following == place):
            if len(self._misplaced) < _MOST:
                self._misplaced[place] = seq
            self._stand(line, place, doubtful=True)
            return None
        if seq > place:
            self._blame_range("removed", place, seq - 1)
            self._stand(line, seq)
            self._read(record, line)
            return record
        self.blame("inserted", seq, f"record {seq} stands there once more")
        return None

    def finish(self) -> None:
        """Report what only shows at the end."""
        for place, seq in self._misplaced.items():
            if self._misplaced.get(seq) != place:
                text = f"record {place} was edited: its number is {seq}"
                self.blame("edited", place, text)
            elif place < seq:
                self.blame("swapped", place, f"records {place} and {seq} were swapped")
        if self._begins.seq and not self._excused:
            self._blame_range("removed", 1, self._begins.seq, ", and not by retention")

    def blame(self, flaw: Flaw, seq: int, text: str) -> None:
        """Add a finding."""
        if len(self.findings) < _MOST:
            self.findings.append(Finding(flaw, seq, text))
        else:
            self.unlisted += 1

    def _stand(self, line: bytes, seq: int, *, doubtful: bool = False) -> None:
        self.link = Link(seq, hashlib.sha256(line).hexdigest())
        self.closed, self._doubtful = False, doubtful
        if self.heads:
            self.heads.discard(self.link.digest)

    def _read(self, record: dict[str, Any], line: bytes) -> None:
        """Check a checkpoint, and whether retention removed what is before the first record."""
        if record["kind"] == CHECKPOINT:
            flaw = self._flaw_of_signature(record, line)
            self.closed = flaw is None and record.get("event") == "closed"
            if flaw is None:
                self.vouched = record["seq"]
            else:
                self._doubtful = True
                self.blame("forged", record["seq"], f"checkpoint {record['seq']} {flaw}")
        elif record["kind"] == RETENTION:
            removed = (record.get("last_seq"), record.get("last_digest"))
            self._excused |= removed == (self._begins.seq, self._begins.digest)

    def _flaw_of_signature(self, record: dict[str, Any], line: bytes) -> str | None:
        signed = signed_part(line)
        if signed is None:
            return "is not signed"
        if not self.verifier.knows(record.get("key")):
            return f"is signed with the key {record.get('key')}, which is none of those given"
        if not self.verifier.is_signed(record["key"], *signed):
            return (
                f"is forged: its signature is not by the key {record['key']}, so nothing after "
                f"record {self.vouched} is vouched for until the next checkpoint"
            )
        return None

    def _blame_before(self, record: dict[str, Any], line: bytes) -> None:
        """Blame the record before one that was chained to another content."""
        before = record["seq"] - 1
        text = f"record {before} was edited: record {record['seq']} was chained to another content"
        first = self.vouched + 1
        signed = record["kind"] == CHECKPOINT and self._flaw_of_signature(record, line) is None
        if signed and first < before:
            text = (
                f"record {before} was edited, or one from {first} on and the chain after it made "
                f"anew: checkpoint {record['seq']} signed another content"
            )
        self.blame("edited", before, text)

    def _blame_range(self, flaw: Flaw, first: int, last: int, more: str = "") -> None:
        which = f"record {first} was" if first == last else f"records {first} to {last} were"
        self.blame(flaw, first, f"{which} {flaw}{more}")


def _before(first: dict[str, Any] | None) -> Link:
    """Return the link that the first record of a chain refers to."""
    if first is None or first["seq"] < 1:
        return Link()
    return Link(first["seq"] - 1, first["prev"] if first["seq"] > 1 else GENESIS)
