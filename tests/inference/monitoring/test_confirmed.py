import pytest

from lentigo_inference.monitoring.confirmed import ConfirmedAnswers, confirmed_in
from tests.inference.monitoring.feedback_records import VERSION, confirmed, feedback_record

OTHER_VERSION = "b" * 64


def test_a_record_of_feedback_says_what_was_said_and_what_it_was() -> None:
    found = confirmed(7, said="bkl", diagnosis="mel", refer=True)
    assert (found.said, found.diagnosis, found.refer) == ("bkl", "mel", True)
    assert (found.manifest_sha256, found.image_sha256) == (VERSION, f"{7:064x}")
    assert found.malignancy == 0.125


def test_a_withheld_diagnosis_and_one_of_none_of_the_seven_are_read() -> None:
    found = confirmed(said=None, malignancy=None, diagnosis="other")
    assert (found.said, found.malignancy, found.diagnosis) == (None, None, "other")


@pytest.mark.parametrize(
    "changes",
    [
        {"time": "yesterday"},
        {"time": None},
        {"manifest_sha256": "a"},
        {"image_sha256": 5},
        {"said": "other"},
        {"said": "melanoma"},
        {"malignancy": 1.5},
        {"malignancy": "0.5"},
        {"malignancy": float("nan")},
        {"refer": "true"},
        {"refer": 1},
        {"diagnosis": None},
        {"diagnosis": "nv\n"},
        {"confirmed_by": "feeling"},
    ],
    ids=str,
)
def test_a_record_that_the_service_does_not_write_says_nothing(changes: dict[str, object]) -> None:
    assert confirmed_in(feedback_record(0, **changes)) is None


@pytest.mark.parametrize("member", ["malignancy", "refer", "manifest_sha256", "said"])
def test_a_record_without_a_member_says_nothing(member: str) -> None:
    record = feedback_record()
    del record[member]
    assert confirmed_in(record) is None


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_later_feedback_on_an_image_counts_in_whatever_order_it_is_read(
    order: tuple[int, int],
) -> None:
    twice = [
        confirmed(1, image_sha256="c" * 64, diagnosis="nv"),
        confirmed(2, image_sha256="c" * 64, diagnosis="mel"),
    ]
    answers = ConfirmedAnswers()
    for place in order:
        answers.add(twice[place])
    (found,) = answers.of(VERSION)
    assert found.diagnosis == "mel"


def test_each_version_has_its_own_answers() -> None:
    answers = ConfirmedAnswers()
    answers.add(confirmed(1))
    answers.add(confirmed(1, manifest_sha256=OTHER_VERSION))
    assert len(answers.of(VERSION)) == len(answers.of(OTHER_VERSION)) == 1
    assert answers.of("c" * 64) == ()


def test_only_the_latest_answers_are_kept_whatever_comes_in_which_order() -> None:
    answers = ConfirmedAnswers(most_answers=10)
    for number in sorted(range(1000), key=lambda number: number * 7 % 1000):
        answers.add(confirmed(number))
    assert [each.image_sha256 for each in answers.of(VERSION)] == [
        f"{number:064x}" for number in range(999, 989, -1)
    ]
    assert len(answers._by_version[VERSION]) <= 510


def test_only_the_versions_with_the_latest_feedback_are_kept() -> None:
    answers = ConfirmedAnswers(most_versions=2)
    for number, version in ((5, "1"), (9, "2"), (7, "3"), (1, "4")):
        answers.add(confirmed(number, manifest_sha256=version * 64))
    assert [len(answers.of(version * 64)) for version in "1234"] == [0, 1, 1, 0]


def test_the_revision_changes_with_what_is_known() -> None:
    answers = ConfirmedAnswers()
    answers.add(confirmed(2))
    before = answers.revision
    answers.add(confirmed(1, image_sha256=f"{2:064x}"))
    assert answers.revision == before
    answers.add(confirmed(3))
    assert answers.revision > before
