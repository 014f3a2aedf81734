"""`lentigo-inference audit`, as it is typed."""

import csv
import io
import stat
from pathlib import Path
from uuid import uuid4

import pytest

from lentigo_contract.labels import CODES
from lentigo_inference import __version__
from lentigo_inference.audit.export import ANSWER_COLUMNS
from lentigo_inference.audit.signing import read_signer
from lentigo_inference.cli import main
from lentigo_inference.errors import AuditFileError
from lentigo_trainer.data.extra.archives import TableFile
from lentigo_trainer.data.extra.metadata import read_metadata_tables
from tests.inference.audit.trails import NOON, Trail, id_at

Captured = pytest.CaptureFixture[str]


def test_a_made_key_is_for_its_user_alone(tmp_path: Path, capsys: Captured) -> None:
    key = tmp_path / "a.key"
    assert main(["audit", "make-key", str(key)]) == 0
    assert f"{key}.pub" in capsys.readouterr().out
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert "PUBLIC" in Path(f"{key}.pub").read_text()


def test_a_key_is_never_replaced(trail: Trail, capsys: Captured) -> None:
    before = trail.key.read_bytes()
    assert main(["audit", "make-key", str(trail.key)]) == 1
    assert "is there already" in capsys.readouterr().err
    assert trail.key.read_bytes() == before


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_key_that_others_can_read_is_refused(trail: Trail, mode: int) -> None:
    trail.key.chmod(mode)
    with pytest.raises(AuditFileError, match="anybody could have signed"):
        read_signer(trail.key)


@pytest.mark.parametrize("content", [b"", b"rubbish", b"-----BEGIN PRIVATE KEY-----\nAAAA\n"])
def test_what_is_no_key_is_refused(trail: Trail, content: bytes) -> None:
    trail.key.write_bytes(content)
    with pytest.raises(AuditFileError, match="no private Ed25519 key"):
        read_signer(trail.key)


def test_a_public_key_does_not_sign(trail: Trail) -> None:
    trail.public.chmod(0o600)
    with pytest.raises(AuditFileError, match="no private Ed25519 key"):
        read_signer(trail.public)


def test_verify_says_that_a_trail_is_sound(trail: Trail, capsys: Captured) -> None:
    trail.write(3)
    assert main(["audit", "verify", "--dir", str(trail.folder), "--key", str(trail.public)]) == 0
    assert "series 1: sound, 5 records in 1 file, head 5 " in capsys.readouterr().out


def test_verify_names_what_was_edited_and_ends_with_3(trail: Trail, capsys: Captured) -> None:
    trail.write(3)
    trail.tamper(lambda lines: lines.__setitem__(2, lines[2].replace(b"ward-7", b"ward-8")))
    assert main(["audit", "verify", "--dir", str(trail.folder), "--key", str(trail.public)]) == 3
    out = capsys.readouterr().out
    assert "edited: series 1: record 3 was edited" in out
    assert "TAMPERED" in out


def test_verify_misses_an_earlier_head(trail: Trail, capsys: Captured) -> None:
    trail.write(3)
    arguments = ["audit", "verify", "--dir", str(trail.folder), "--key", str(trail.public)]
    assert main([*arguments, "--head", "0" * 64]) == 3
    assert f"the record {'0' * 64} any more" in capsys.readouterr().out


def test_verify_reads_a_trail_that_is_written(trail: Trail, capsys: Captured) -> None:
    writer = trail.writer()
    writer.write([trail.answer()])
    assert main(["audit", "verify", "--dir", str(trail.folder), "--key", str(trail.public)]) == 0
    assert "its last record is not signed yet" in capsys.readouterr().out
    writer.close()


def test_verify_takes_folder_and_key_from_the_environment(
    trail: Trail, monkeypatch: pytest.MonkeyPatch
) -> None:
    trail.write(1)
    monkeypatch.setenv("LENTIGO_AUDIT_DIR", str(trail.folder))
    monkeypatch.setenv("LENTIGO_AUDIT_KEY", str(trail.key))
    assert main(["audit", "verify"]) == 0


@pytest.mark.parametrize("arguments", [["audit"], ["audit", "show"], ["audit", "verify", "x"]])
def test_wrong_usage_is_exit_code_2(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LENTIGO_AUDIT_KEY", raising=False)
    assert main(arguments) == 2


@pytest.mark.parametrize("command", ["verify", "export"])
def test_a_folder_that_is_missing_is_one_line(trail: Trail, command: str, capsys: Captured) -> None:
    trail.folder.rmdir()
    key = ["--key", str(trail.public)] if command == "verify" else []
    assert main(["audit", command, "--dir", str(trail.folder), *key]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot be read" in line


def test_show_tells_what_was_said_to_whom_and_why(trail: Trail, capsys: Captured) -> None:
    answered = trail.answer()
    writer = trail.writer()
    writer.write([answered, trail.feedback(answered, "mel", "histopathology")])
    writer.close()
    assert main(["audit", "show", answered["id"], "--dir", str(trail.folder)]) == 0
    out = capsys.readouterr().out
    for told in (
        f"2 of series 1, in {trail.files()[0]}",
        f"lentigo-inference {__version__}",
        "key ward-7, address 10.0.0.1",
        "nv (Melanocytic nevus)",
        "malignancy 0.2500, threshold 0.2000; malignancy",
        "lentigo 3, litert",
        "f" * 64,
        "decided_by balanced",
        "mel, by histopathology",
        "Research use only. Not a medical device.",
    ):
        assert told in out


def test_show_of_an_unknown_answer_is_one_line(trail: Trail, capsys: Captured) -> None:
    trail.write(1)
    assert main(["audit", "show", str(uuid4()), "--dir", str(trail.folder)]) == 1
    assert "has no answer" in capsys.readouterr().err


def test_show_of_a_record_that_was_edited_is_one_line(trail: Trail, capsys: Captured) -> None:
    answered = trail.answer()
    writer = trail.writer()
    writer.write([answered])
    writer.close()
    trail.tamper(lambda lines: lines.__setitem__(1, lines[1].replace(b'"refer"', b'"defer"')))
    assert main(["audit", "show", answered["id"], "--dir", str(trail.folder)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "`audit verify` says" in line


def test_an_answer_is_found_among_files_of_many_days_and_jumps(trail: Trail) -> None:
    from lentigo_inference.audit.lookup import AnswerFinder

    finder, wanted = AnswerFinder(trail.folder), []
    for day in (0, 1, 2, 1.5, 3, 90):
        trail.clock.now = NOON + day * 86_400
        wanted.append(id_at(trail.clock.now))
        writer = trail.writer()
        writer.write([trail.answer(answer_id=str(wanted[-1]))])
        writer.close()
    for answer_id in wanted:
        found = finder.search(answer_id)
        assert found is not None
        assert found[1]["id"] == str(answer_id)
    assert finder.search(id_at(NOON)) is None


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_export_has_every_answer_with_the_feedback_that_counts(
    trail: Trail, capsys: Captured
) -> None:
    first, second = trail.answer(image="1" * 64), trail.answer(image="2" * 64)
    writer = trail.writer()
    writer.write([first, second, trail.feedback(first, "bkl", "consensus")])
    trail.clock.now += 1
    writer.write([trail.feedback(first, "mel", "histopathology")])
    writer.close()
    assert main(["audit", "export", "--dir", str(trail.folder)]) == 0
    one, two = rows(capsys.readouterr().out)
    assert tuple(one) == ANSWER_COLUMNS
    assert (one["id"], one["diagnosis"], one["refer"]) == (first["id"], "nv", "True")
    assert (one["confirmed"], one["confirmed_by"]) == ("mel", "histopathology")
    assert (one["probability_nv"], one["reasons"]) == ("0.75", "malignancy")
    assert two["confirmed"] == ""


def test_the_latest_feedback_counts_in_whichever_series_it_is(
    trail: Trail, capsys: Captured
) -> None:
    answered = trail.answer()
    first, second = trail.writer(), trail.writer()
    trail.clock.now = NOON + 10
    first.write([answered, trail.feedback(answered, "mel", "histopathology")])
    trail.clock.now = NOON + 5
    second.write([trail.feedback(answered, "nv", "follow-up")])
    first.close()
    second.close()
    assert main(["audit", "export", "--dir", str(trail.folder), "--format", "isic"]) == 0
    (row,) = rows(capsys.readouterr().out)
    assert row["label"] == "mel"
    assert len([each for each in trail.records(2) if each["kind"] == "feedback"]) == 1


def test_the_isic_table_is_by_image_and_in_the_words_of_isic(
    trail: Trail, capsys: Captured
) -> None:
    answers = {code: trail.answer(image=f"{place:064x}") for place, code in enumerate(CODES)}
    answers["other"] = trail.answer(image="9" * 64)
    writer = trail.writer()
    writer.write(list(answers.values()))
    for code, answered in answers.items():
        writer.write([trail.feedback(answered, code, "confocal")])
    writer.close()
    assert main(["audit", "export", "--dir", str(trail.folder), "--format", "isic"]) == 0
    table = rows(capsys.readouterr().out)
    assert [row["label"] for row in table] == list(answers)
    assert table[0]["image"] == answers["akiec"]["image_sha256"]
    assert {row["diagnosis_confirm_type"] for row in table} == {
        "confocal microscopy with consensus dermoscopy"
    }
    assert {(row["said"], row["version"]) for row in table} == {("nv", "3")}


def test_the_importer_reads_the_isic_table(trail: Trail, capsys: Captured) -> None:
    answered = trail.answer(image="a" * 64)
    writer = trail.writer()
    writer.write([answered, trail.feedback(answered, "mel", "histopathology")])
    writer.close()
    assert main(["audit", "export", "--dir", str(trail.folder), "--format", "isic"]) == 0
    content = capsys.readouterr().out.encode()
    (row,) = read_metadata_tables([TableFile("confirmed.csv", lambda: content)]).rows
    assert (row.image, row.words, row.confirmation) == ("a" * 64, ("mel",), "histopathology")
