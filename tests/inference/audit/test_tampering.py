"""What somebody with an editor may do to a trail, and what `verify` says then."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from lentigo_inference.audit.chain import Link, add_record, signed_part
from lentigo_inference.audit.checks import ChainCheck
from lentigo_inference.audit.folder import end_of
from lentigo_inference.audit.records import RETENTION
from lentigo_inference.audit.signing import Verifier, make_key
from lentigo_inference.errors import AuditFileError
from tests.inference.audit.trails import Trail, made_trail

# The records of a trail: 1 opens the file, 2 to 11 are answers, 12 closes it.
ANSWERS = 10
CLOSED = ANSWERS + 2


def edited(line: bytes) -> bytes:
    assert b'"diagnosis":"nv"' in line
    return line.replace(b'"diagnosis":"nv"', b'"diagnosis":"bkl"')


def test_a_trail_as_it_was_written_is_sound(trail: Trail) -> None:
    trail.write(ANSWERS)
    (report,) = trail.verify()
    assert (report.findings, report.notes) == ((), ())
    assert (report.records, report.head.seq, report.vouched) == (CLOSED, CLOSED, CLOSED)


@pytest.mark.parametrize("seq", [2, 5, CLOSED - 1])
def test_an_edited_record_is_named(trail: Trail, seq: int) -> None:
    trail.write(ANSWERS)
    trail.tamper(lambda lines: lines.__setitem__(seq - 1, edited(lines[seq - 1])))
    assert trail.found() == [("edited", seq)]


def test_an_edited_number_is_named(trail: Trail) -> None:
    trail.write(ANSWERS)
    trail.tamper(lambda lines: lines.__setitem__(4, lines[4].replace(b'"seq":5', b'"seq":50')))
    assert trail.found() == [("edited", 5)]


@pytest.mark.parametrize("rubbish", [b"\n", b"{}\n", b"[1]\n", b"\x00\xff\n", b'{"seq":true}\n'])
def test_a_line_that_is_no_record_any_more_is_named(trail: Trail, rubbish: bytes) -> None:
    trail.write(ANSWERS)
    trail.tamper(lambda lines: lines.__setitem__(4, rubbish))
    assert trail.found() == [("edited", 5)]


def test_a_line_nested_without_end_is_named(trail: Trail) -> None:
    trail.write(ANSWERS)
    trail.tamper(lambda lines: lines.__setitem__(4, b"[" * 100_000 + b"\n"))
    assert trail.found() == [("edited", 5)]


def test_a_line_longer_than_any_record_is_found_in_bounded_memory(trail: Trail) -> None:
    trail.write(ANSWERS)
    trail.tamper(lambda lines: lines.__setitem__(4, b"x" * 5_000_000 + b"\n"))
    assert ("edited", 5) in trail.found()


@pytest.mark.parametrize("count", [1, 3])
def test_removed_records_are_named(trail: Trail, count: int) -> None:
    trail.write(ANSWERS)
    trail.tamper(lambda lines: lines.__delitem__(slice(4, 4 + count)))
    (report,) = trail.verify()
    (finding,) = report.findings
    assert (finding.flaw, finding.seq) == ("removed", 5)
    assert finding.text == ("record 5 was removed" if count == 1 else "records 5 to 7 were removed")


@pytest.mark.parametrize("other", [6, 7, 9])
def test_swapped_records_are_named(trail: Trail, other: int) -> None:
    trail.write(ANSWERS)

    def swap(lines: list[bytes]) -> None:
        lines[4], lines[other - 1] = lines[other - 1], lines[4]

    trail.tamper(swap)
    (report,) = trail.verify()
    assert [each.text for each in report.findings] == [f"records 5 and {other} were swapped"]


def test_a_record_that_is_there_twice_is_named(trail: Trail) -> None:
    trail.write(ANSWERS)
    trail.tamper(lambda lines: lines.insert(7, lines[4]))
    assert trail.found() == [("inserted", 5)]


@pytest.mark.parametrize("left", [1, 5, CLOSED - 1])
def test_a_cut_tail_is_named(trail: Trail, left: int) -> None:
    trail.write(ANSWERS)
    trail.tamper(lambda lines: lines[:left])
    assert trail.found() == [("truncated", left)]


def test_a_tail_cut_within_a_record_is_named(trail: Trail) -> None:
    trail.write(ANSWERS)
    trail.tamper(lambda lines: [*lines[:6], lines[6][:100]])
    (report,) = trail.verify()
    (finding,) = report.findings
    assert (finding.flaw, finding.seq) == ("truncated", 6)
    assert "ends within a record" in finding.text


def test_an_earlier_head_shows_that_whole_files_were_cut_off(trail: Trail) -> None:
    trail.write(ANSWERS)
    trail.write(ANSWERS)
    (report,) = trail.verify()
    trail.files()[-1].unlink()
    assert trail.found() == []
    assert trail.found(report.head.digest) == []
    assert trail.verified.missing_heads == {report.head.digest}


def test_an_earlier_head_that_is_still_there_is_found(trail: Trail) -> None:
    trail.write(ANSWERS)
    (report,) = trail.verify()
    trail.write(ANSWERS)
    assert trail.found(report.head.digest) == []
    assert trail.verified.sound


@pytest.mark.parametrize("file", [0, 1])
def test_a_removed_file_is_named_by_its_records(trail: Trail, file: int) -> None:
    for _ in range(3):
        trail.write(ANSWERS)
    trail.files()[file].unlink()
    assert trail.found() == [("removed", 1 + CLOSED * file)]


def test_a_series_without_files_is_found(trail: Trail) -> None:
    trail.write(ANSWERS)
    trail.files()[0].unlink()
    assert trail.found() == [("truncated", 0)]


def test_a_series_that_is_gone_is_found(trail: Trail) -> None:
    first, second = trail.writer(), trail.writer()
    first.write([trail.answer()])
    second.write([trail.answer()])
    first.close()
    second.close()
    shutil.rmtree(trail.folder / "1")
    assert trail.found() == []
    assert trail.verified.missing_series == (1,)
    assert not trail.verified.sound


def test_a_folder_without_a_trail_is_not_called_sound(trail: Trail) -> None:
    with pytest.raises(AuditFileError, match="nothing to verify"):
        trail.verify()


def test_a_series_in_the_place_of_another_is_found(trail: Trail) -> None:
    """Both are chains by the right key, so only what the service signed of their place tells."""
    first, second = trail.writer(), trail.writer()
    first.write([trail.answer()])
    second.write([trail.answer()])
    first.close()
    second.close()
    shutil.rmtree(trail.folder / "1")
    shutil.copytree(trail.folder / "2", trail.folder / "1")
    assert trail.found() == [("edited", 3)]


def test_a_file_with_another_time_in_its_name_is_found(trail: Trail) -> None:
    """`audit show` would not find its answers."""
    trail.write(ANSWERS)
    (path,) = trail.files()
    path.rename(path.with_name("00000001-20200101T000000Z.jsonl"))
    assert trail.found() == [("edited", CLOSED)]


def chained(path: Path, fields: dict[str, object]) -> bytes:
    """A record that follows the last one of a file, as somebody would make it who has no key."""
    end = end_of(path)
    line, _link = add_record(end.link, fields)
    return line


@pytest.mark.parametrize("half", [False, True], ids=["whole", "half"])
def test_what_is_added_after_a_file_was_closed_is_found_also_after_a_start(
    trail: Trail, half: bool
) -> None:
    trail.write(ANSWERS)
    path = trail.files()[0]
    added = chained(path, trail.answer())
    with path.open("ab") as file:
        file.write(added[:50] if half else added)
    # The next start goes on from there, and signs it.
    trail.write(ANSWERS)
    assert trail.found() == [("inserted", CLOSED + 1)]


def test_an_end_that_was_cut_before_a_start_is_a_note_and_its_head_is_missed(trail: Trail) -> None:
    """Nothing within the folder can tell it from a service that was killed there."""
    trail.write(ANSWERS)
    (report,) = trail.verify()
    trail.tamper(lambda lines: lines[:5])
    trail.write(ANSWERS)
    assert trail.found(report.head.digest) == []
    assert trail.verified.missing_heads == {report.head.digest}
    (note,) = trail.verified.series[0].notes
    assert "after record 5 the service was cut off" in note


def test_of_many_removals_the_one_that_explains_the_beginning_is_found(trail: Trail) -> None:
    begins = Link(5000, "a" * 64)
    check, link = ChainCheck(Verifier([trail.public])), begins
    for number in range(1500):
        removed = begins if number == 1400 else Link(number + 1, "b" * 64)
        fields = {"kind": RETENTION, "last_seq": removed.seq, "last_digest": removed.digest}
        line, link = add_record(link, fields)
        check.take(line.rstrip(b"\n"), None)
    check.finish()
    assert check.findings == []


def test_a_renamed_file_is_found(trail: Trail) -> None:
    for _ in range(3):
        trail.write(ANSWERS)
    first, second, _third = trail.files()
    names = first.name, second.name
    second.rename(second.with_name("other"))
    first.rename(first.with_name(names[1]))
    second.with_name("other").rename(second.with_name(names[0]))
    assert trail.found()


def rechained(lines: list[bytes], first: int) -> list[bytes]:
    """Make the chain anew from a record on, as somebody would who knows how it is made."""
    link = Link(first - 1, hashlib.sha256(lines[first - 2].rstrip(b"\n")).hexdigest())
    made = lines[: first - 1]
    for line in lines[first - 1 :]:
        record = {
            key: value for key, value in json.loads(line).items() if key not in {"seq", "prev"}
        }
        again, link = add_record(link, record)
        made.append(again)
    return made


def test_a_chain_made_anew_fails_at_the_next_checkpoint(trail: Trail) -> None:
    trail.write(ANSWERS)

    def forge(lines: list[bytes]) -> list[bytes]:
        lines[4] = edited(lines[4])
        return rechained(lines, 5)

    trail.tamper(forge)
    (report,) = trail.verify()
    flaws = [(each.flaw, each.seq) for each in report.findings]
    assert ("forged", CLOSED) in flaws
    assert report.vouched == 1


def test_a_chain_made_anew_up_to_a_checkpoint_is_named(trail: Trail) -> None:
    trail.write(ANSWERS)

    def forge(lines: list[bytes]) -> list[bytes]:
        lines[4] = edited(lines[4])
        return [*rechained(lines[:-1], 5), lines[-1]]

    trail.tamper(forge)
    (report,) = trail.verify()
    (finding,) = report.findings
    assert (finding.flaw, finding.seq) == ("edited", CLOSED - 1)
    assert f"one from 2 on and the chain after it made anew: checkpoint {CLOSED}" in finding.text


def test_a_checkpoint_of_another_key_is_forged(trail: Trail, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = made_trail(tmp_path / "other")
    Trail(trail.folder, other.key).write(ANSWERS)
    assert trail.found()[0] == ("forged", 1)


def test_two_keys_may_have_signed_one_after_the_other(trail: Trail, tmp_path: Path) -> None:
    trail.write(ANSWERS)
    later = tmp_path / "later.key"
    make_key(later)
    Trail(trail.folder, later).write(ANSWERS)
    (report,) = trail.verify(keys=[trail.public, later])
    assert report.findings == ()


@pytest.mark.parametrize("change", ["signature", "content", "without", "not base64"])
def test_a_changed_checkpoint_is_forged(trail: Trail, change: str) -> None:
    trail.write(ANSWERS)

    def forge(lines: list[bytes]) -> None:
        signed = signed_part(lines[-1].rstrip(b"\n"))
        assert signed is not None
        lines[-1] = {
            "signature": signed[0] + b',"signature":"' + b"A" * 86 + b'=="}\n',
            "content": lines[-1].replace(b'"cause":"stop"', b'"cause":"size"'),
            "without": signed[0] + b"}\n",
            "not base64": signed[0] + b',"signature":"?"}\n',
        }[change]

    trail.tamper(forge)
    assert ("forged", CLOSED) in trail.found()


def test_a_trail_in_shreds_gives_a_bounded_report(trail: Trail) -> None:
    trail.write(1)
    trail.tamper(lambda lines: [lines[0], *[b"{}\n"] * 3000])
    (report,) = trail.verify()
    assert len(report.findings) + report.unlisted >= 3000
    assert len(report.findings) <= 1000
