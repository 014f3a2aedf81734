"""Rotation, retention, and what a disk and a clock may do."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lentigo_inference.audit.folder import is_held
from lentigo_inference.audit.signing import read_signer
from lentigo_inference.audit.writer import ChainWriter, FileEvent
from lentigo_inference.errors import AuditFileError
from tests.inference.audit.trails import NOON, Trail

DAY = 86_400.0


def kinds(trail: Trail, series: int = 1) -> list[str]:
    return [
        f"{record['event']} {record.get('cause', '')}".strip()
        if record["kind"] == "checkpoint"
        else record["kind"]
        for record in trail.records(series)
    ]


def test_records_are_on_the_disk_when_write_returns(trail: Trail) -> None:
    writer = trail.writer()
    writer.write([trail.answer(), trail.answer()])
    assert kinds(trail) == ["opened start", "answer", "answer"]
    writer.close()
    assert kinds(trail)[-1] == "closed stop"


def test_a_writer_that_wrote_nothing_leaves_nothing(trail: Trail) -> None:
    trail.writer().close()
    assert list(trail.folder.iterdir()) == []


def test_a_checkpoint_is_signed_after_so_many_records(trail: Trail) -> None:
    trail.write(5, checkpoint_records=2)
    assert kinds(trail).count("signed") == 2
    assert trail.found() == []


def test_a_checkpoint_is_signed_after_a_while_without_records(trail: Trail) -> None:
    writer = trail.writer(unsigned_s=60)
    assert writer.checkpoint_due_s is None
    writer.write([trail.answer()])
    assert writer.checkpoint_due_s == 60
    trail.clock.now += 61
    assert writer.checkpoint_due_s == 0
    writer.write()
    assert kinds(trail)[-1] == "signed"
    assert writer.checkpoint_due_s is None
    writer.close()


def test_a_file_is_closed_when_it_is_large_enough(trail: Trail) -> None:
    trail.write(10, file_bytes=2000)
    assert len(trail.files()) > 2
    assert max(path.stat().st_size for path in trail.files()) < 4000
    assert trail.found() == []


def test_a_file_is_closed_at_the_end_of_the_day(trail: Trail) -> None:
    writer = trail.writer()
    writer.write([trail.answer()])
    trail.clock.now += DAY / 2 + 1
    writer.write([trail.answer()])
    writer.close()
    assert [path.name for path in trail.files()] == [
        "00000001-20251130T120000Z.jsonl",
        "00000002-20251201T000001Z.jsonl",
    ]
    assert trail.found() == []


def test_a_clock_that_jumps_back_begins_a_file(trail: Trail) -> None:
    writer = trail.writer()
    writer.write([trail.answer()])
    trail.clock.now -= 3600
    writer.write([trail.answer()])
    writer.close()
    assert kinds(trail)[2:4] == ["closed clock", "opened clock"]
    assert trail.found() == []


def test_a_clock_that_is_corrected_by_a_little_does_not(trail: Trail) -> None:
    writer = trail.writer()
    writer.write([trail.answer()])
    trail.clock.now -= 0.5
    writer.write([trail.answer()])
    writer.close()
    assert len(trail.files()) == 1


def test_files_past_retention_are_removed_and_the_trail_stays_sound(trail: Trail) -> None:
    for _ in range(10):
        trail.write(2, retention_s=4 * DAY)
        trail.clock.now += DAY
    numbers = [int(path.name[:8]) for path in trail.files()]
    assert numbers == [5, 6, 7, 8, 9, 10]
    assert trail.found() == []


def test_what_retention_did_not_remove_is_missed(trail: Trail) -> None:
    for _ in range(10):
        trail.write(2, retention_s=4 * DAY)
        trail.clock.now += DAY
    first = trail.records()[0]["seq"]
    trail.files()[0].unlink()
    assert trail.found() == [("removed", 1)]
    assert trail.records()[0]["seq"] > first


def test_files_that_somebody_gave_an_older_name_are_not_removed(trail: Trail) -> None:
    """Otherwise the service would remove what it must not, and sign that it did."""
    for _ in range(4):
        trail.write(1)
        trail.clock.now += DAY
    for path in trail.files():
        path.rename(path.with_name(path.name[:9] + "20200101T000000Z.jsonl"))
    trail.write(1)
    assert len(trail.files()) == 5
    assert {flaw for flaw, _seq in trail.found()} == {"edited"}


def test_a_clock_that_is_years_ahead_does_not_remove_the_trail(trail: Trail) -> None:
    for _ in range(10):
        trail.write(1)
        trail.clock.now += DAY
    trail.clock.now += 100 * 365 * DAY
    trail.write(1)
    assert len(trail.files()) == 9


def test_two_instances_write_side_by_side(trail: Trail) -> None:
    first, second = trail.writer(), trail.writer()
    first.write([trail.answer()])
    second.write([trail.answer()])
    first.write([trail.answer()])
    second.close()
    assert (is_held(trail.folder / "1"), is_held(trail.folder / "2")) == (True, False)
    first.close()
    assert kinds(trail, 1) == ["opened start", "answer", "answer", "closed stop"]
    assert kinds(trail, 2) == ["opened start", "answer", "closed stop"]
    assert trail.found() == []


def test_an_instance_goes_on_with_a_series_that_nobody_holds(trail: Trail) -> None:
    trail.write(2)
    trail.write(2)
    assert [path.name for path in trail.folder.iterdir()] == ["1"]
    assert [record["seq"] for record in trail.records()] == list(range(1, 9))


def test_files_are_for_their_user_and_its_group(trail: Trail) -> None:
    trail.write(1)
    (path,) = trail.files()
    assert stat.S_IMODE(path.stat().st_mode) & 0o137 == 0


def killed(writer: ChainWriter) -> None:
    """Let go of what a writer holds, as the system does for a process that was killed."""
    file = writer._file
    assert file is not None
    os.close(file.descriptor)
    os.close(file.lock)
    writer._file = None


@pytest.mark.parametrize("half", [b"", b'{"seq":3,"prev":"'])
def test_a_start_after_a_kill_says_how_the_file_ended(trail: Trail, half: bytes) -> None:
    writer = trail.writer()
    writer.write([trail.answer()])
    killed(writer)
    with trail.files()[0].open("ab") as file:
        file.write(half)
    assert trail.found() == [("truncated", 2)]
    trail.write(1)
    opened = parsed_start(trail)
    assert opened["after"] == {"file": 1, "closed": False, "half_bytes": len(half)}
    assert (opened["seq"], opened["file"]) == (3, 2)
    (report,) = trail.verify()
    assert report.findings == ()
    assert "after record 2 the service was cut off" in report.notes[0]


def test_whoever_is_told_of_files_knows_their_heads_and_what_was_cut_off(trail: Trail) -> None:
    told: list[FileEvent] = []
    signer = read_signer(trail.key)
    writer = ChainWriter(trail.folder, signer, clock=trail.clock, observe=told.append)
    writer.write([trail.answer()])
    killed(writer)
    again = ChainWriter(trail.folder, signer, clock=trail.clock, observe=told.append)
    again.write([trail.answer()])
    again.close()
    assert [(each.event, each.head.seq, each.cut_off) for each in told] == [
        ("begun", 0, False),
        ("begun", 2, True),
        ("closed", 5, False),
    ]
    assert [each.file for each in told[1:]] == [f"1/{trail.files()[1].name}"] * 2
    assert trail.found(*(each.head.digest for each in told[1:])) == []
    assert trail.verified.sound


def parsed_start(trail: Trail) -> dict[str, object]:
    """The record that begins the last file."""
    begins = [each for each in trail.records_of_whole_lines() if each.get("event") == "opened"]
    return begins[-1]


def test_a_half_record_that_grew_since_is_found(trail: Trail) -> None:
    writer = trail.writer()
    writer.write([trail.answer()])
    killed(writer)
    trail.write(1)
    with trail.files()[0].open("ab") as file:
        file.write(b"more")
    assert trail.found() == [("truncated", 2)]


@pytest.mark.parametrize("content", [b"", b"rubbish\n", b"\x00" * 100 + b"\n"])
def test_a_series_that_does_not_end_with_a_record_is_not_gone_on_with(
    trail: Trail, content: bytes
) -> None:
    trail.write(1)
    trail.files()[0].write_bytes(content)
    with pytest.raises(AuditFileError, match="move it away"):
        trail.writer().write([trail.answer()])


@contextmanager
def failing_disk(patch: pytest.MonkeyPatch, code: int) -> Iterator[None]:
    """A disk that takes half of the next write and then fails."""
    real, writes = os.write, []

    def write(descriptor: int, data: bytes) -> int:
        writes.append(data)
        if len(writes) > 1:
            raise OSError(code, os.strerror(code))
        return real(descriptor, bytes(data[: len(data) // 2]))

    with patch.context() as context:
        context.setattr("lentigo_inference.audit.writer.os.write", write)
        yield


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_disk_that_fails_leaves_no_half_record(
    trail: Trail, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    writer = trail.writer()
    writer.write([trail.answer()])
    with failing_disk(monkeypatch, code), pytest.raises(OSError, match=os.strerror(code)):
        writer.write([trail.answer(), trail.answer()])
    assert kinds(trail) == ["opened start", "answer"]
    writer.write([trail.answer()])
    writer.close()
    assert kinds(trail)[2:] == ["opened fault", "answer", "closed stop"]
    assert trail.found() == []


def test_records_that_could_not_be_flushed_are_none(
    trail: Trail, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = trail.writer()
    writer.write([trail.answer()])

    def fail(_descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr("lentigo_inference.audit.writer.os.fdatasync", fail)
        with pytest.raises(OSError, match=os.strerror(errno.EIO)):
            writer.write([trail.answer()])
    writer.write([trail.answer()])
    writer.close()
    assert [each["seq"] for each in trail.records()] == [1, 2, 3, 4, 5]
    assert trail.found() == []


def test_a_missing_folder_is_not_made(trail: Trail) -> None:
    trail.folder.rmdir()
    with pytest.raises(FileNotFoundError):
        trail.writer().write([trail.answer()])
    assert not trail.folder.exists()


def test_a_folder_that_vanishes_is_noticed_before_the_next_record(trail: Trail) -> None:
    writer = trail.writer()
    writer.write([trail.answer()])
    away = trail.folder.with_name("away")
    trail.folder.rename(away)
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            writer.write([trail.answer()])
    away.rename(trail.folder)
    writer.write([trail.answer()])
    writer.close()
    assert trail.found() == []


def test_a_file_that_another_replaced_is_noticed(trail: Trail) -> None:
    writer = trail.writer()
    writer.write([trail.answer()])
    (path,) = trail.files()
    copied = path.read_bytes()
    path.unlink()
    path.write_bytes(copied)
    with pytest.raises(OSError, match=os.strerror(errno.ESTALE)):
        writer.write([trail.answer()])


def test_what_is_cut_off_a_file_that_is_written_is_missed(trail: Trail) -> None:
    writer = trail.writer()
    for _ in range(3):
        writer.write([trail.answer()])
    trail.tamper(lambda lines: lines[:2])
    with pytest.raises(OSError, match="another process changed the file"):
        writer.write([trail.answer()])
    writer.write([trail.answer()])
    writer.close()
    assert trail.found() == [("removed", 3)]


def test_a_file_begins_at_the_time_in_its_name(trail: Trail) -> None:
    trail.write(1)
    (path,) = trail.files()
    assert trail.clock.now == NOON
    assert path.name == "00000001-20251130T120000Z.jsonl"
    assert Path(path).read_text().startswith('{"seq":1,"prev":"0000')
