"""Feedback as it is read from trails that the service wrote."""

from pathlib import Path
from uuid import uuid4

import pytest

from lentigo_inference.errors import AuditFileError
from lentigo_inference.monitoring.confirmed import Confirmed, ConfirmedAnswers
from lentigo_inference.monitoring.follower import FeedbackFollower
from tests.inference.audit.trails import MODEL, Trail, made_trail


@pytest.fixture
def trail(tmp_path: Path) -> Trail:
    return made_trail(tmp_path)


class Following:
    """A follower of a trail, and what it knows."""

    def __init__(self, trail: Trail) -> None:
        self.answers = ConfirmedAnswers()
        self.follower = FeedbackFollower(trail.folder, self.answers)

    def known(self) -> list[Confirmed]:
        self.follower.refresh()
        return sorted(self.answers.of(MODEL.manifest_sha256), key=lambda each: each.image_sha256)


def say(
    trail: Trail, count: int, start: int = 0, diagnosis: str = "mel"
) -> list[dict[str, object]]:
    """Give the records of so many answers, each followed by its feedback."""
    records = []
    for number in range(start, start + count):
        answered = trail.answer(image=f"{number:064x}", answer_id=str(uuid4()))
        records += [answered, trail.feedback(answered, diagnosis, "histopathology")]
    return records


def test_feedback_that_was_there_before_is_read_at_start(trail: Trail) -> None:
    writer = trail.writer()
    writer.write(say(trail, 5))
    writer.close()
    known = Following(trail).known()
    assert [each.image_sha256 for each in known] == [f"{number:064x}" for number in range(5)]
    assert {(each.said, each.diagnosis, each.refer) for each in known} == {("nv", "mel", True)}


def test_what_is_added_is_read_and_nothing_twice(
    trail: Trail, monkeypatch: pytest.MonkeyPatch
) -> None:
    following, writer, added = Following(trail), trail.writer(), []
    monkeypatch.setattr(following.answers, "add", lambda each: added.append(each.image_sha256))
    for number in range(3):
        writer.write(say(trail, 1, start=number))
        following.follower.refresh()
        following.follower.refresh()
    writer.close()
    following.follower.refresh()
    assert added == [f"{number:064x}" for number in range(3)]


def test_feedback_of_every_instance_on_the_folder_is_read(trail: Trail) -> None:
    first, second = trail.writer(), trail.writer()
    first.write(say(trail, 2))
    second.write(say(trail, 2, start=2))
    following = Following(trail)
    assert len(following.known()) == 4
    second.write(say(trail, 2, start=4))
    assert len(following.known()) == 6
    first.close()
    second.close()


def test_the_later_of_two_counts_whichever_instance_took_it(trail: Trail) -> None:
    first, second = trail.writer(), trail.writer()
    answered = trail.answer()
    trail.clock.now += 10
    second.write([answered, trail.feedback(answered, "bkl", "consensus")])
    trail.clock.now -= 5
    first.write([trail.feedback(answered, "nv", "follow-up")])
    (known,) = Following(trail).known()
    assert known.diagnosis == "bkl"
    first.close()
    second.close()


def test_a_record_that_is_half_written_is_read_when_it_is_whole(trail: Trail) -> None:
    writer = trail.writer()
    writer.write(say(trail, 2))
    (path,) = trail.files()
    whole = path.read_bytes()
    following = Following(trail)
    path.write_bytes(whole[:-5])
    assert len(following.known()) == 1
    path.write_bytes(whole)
    assert len(following.known()) == 2


def test_a_new_file_of_a_series_is_read_too(trail: Trail) -> None:
    writer, following = trail.writer(), Following(trail)
    writer.write(say(trail, 1))
    assert len(following.known()) == 1
    trail.clock.now += 86_400
    writer.write(say(trail, 1, start=1))
    assert len(trail.files()) == 2
    assert len(following.known()) == 2
    writer.close()


def test_a_file_that_retention_removed_is_forgotten_and_its_feedback_is_not(trail: Trail) -> None:
    writer, following = trail.writer(), Following(trail)
    writer.write(say(trail, 1))
    following.known()
    (path,) = trail.files()
    path.unlink()
    assert len(following.known()) == 1
    assert following.follower._read == {}


def test_what_was_tampered_with_does_no_harm(trail: Trail) -> None:
    writer = trail.writer()
    writer.write(say(trail, 3))
    writer.close()

    def spoil(lines: list[bytes]) -> list[bytes]:
        lines[2] = lines[2].replace(b'"mel"', b'"melanoma"')
        noise = b'{"kind":"feedback"' + b"[" * 3_000_000 + b"\n"
        return [*lines[:4], noise, b'"kind":"feedback"\n', b"\xff\xfe\n", *lines[4:]]

    trail.tamper(spoil)
    known = Following(trail).known()
    assert [each.image_sha256 for each in known] == [f"{number:064x}" for number in (1, 2)]


def test_a_trail_that_cannot_be_read_says_so_and_is_gone_on_with(trail: Trail) -> None:
    writer, following = trail.writer(), Following(trail)
    writer.write(say(trail, 1))
    following.known()
    away = trail.folder.rename(trail.folder.with_name("away"))
    with pytest.raises(AuditFileError, match="cannot be read"):
        following.follower.refresh()
    assert len(following.answers.of(MODEL.manifest_sha256)) == 1
    away.rename(trail.folder)
    assert len(following.known()) == 1


def test_an_empty_folder_has_nothing_confirmed(trail: Trail) -> None:
    assert Following(trail).known() == []
