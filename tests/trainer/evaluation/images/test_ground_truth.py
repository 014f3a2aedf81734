from pathlib import Path

import pytest

from lentigo_contract.labels import CODES
from lentigo_trainer.errors import TruthError
from lentigo_trainer.evaluation.images.ground_truth import read_ground_truth
from tests.trainer.evaluation.isic import HEAD, SEVEN, one_hot, write_table, write_truth

GOOD = [one_hot(name, code) for name, code in SEVEN.items()]


def test_each_row_names_one_of_the_seven(tmp_path: Path) -> None:
    table = read_ground_truth(write_truth(tmp_path / "truth.csv"))
    assert table.names == tuple(SEVEN)
    assert [CODES[label] for label in table.labels] == list(SEVEN.values())


def test_rows_and_columns_may_come_in_any_order(tmp_path: Path) -> None:
    straight = read_ground_truth(write_table(tmp_path / "one.csv", GOOD))
    turned = [row[::-1] for row in GOOD[::-1]]
    back = read_ground_truth(write_table(tmp_path / "two.csv", turned, HEAD[::-1]))
    assert dict(zip(back.names, back.labels, strict=True)) == dict(
        zip(straight.names, straight.labels, strict=True)
    )


def test_spreadsheets_marks_and_whole_numbers_are_read(tmp_path: Path) -> None:
    path = tmp_path / "truth.csv"
    head = "\ufeff" + ",".join(HEAD)
    path.write_text(f"{head}\r\nISIC_1, 1,0,0,0,0,0,0\r\n\r\n", encoding="utf-8")
    assert read_ground_truth(path).names == ("ISIC_1",)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([one_hot("ISIC_1", "mel", "nv")], "1 row with more than one diagnosis.*: ISIC_1"),
        ([one_hot("ISIC_1")], "1 row without a diagnosis.*: ISIC_1"),
        ([one_hot("ISIC_1", "nv"), one_hot("ISIC_1", "nv")], "1 image listed twice: ISIC_1"),
        ([("ISIC_1", "1")], "1 row without 8 values: line 2"),
        ([("ISIC_1", "yes", *"000000")], "row of ISIC_1 has a value that is not a number"),
        ([("ISIC_1", "0.5", "0.5", *"00000")], "row of ISIC_1 has a value that is neither 0 nor 1"),
        ([("", "1", *"000000")], "1 row without the name of an image: line 2"),
        ([], "lists no image"),
    ],
)
def test_an_ambiguous_row_is_named(
    rows: list[tuple[str, ...]], message: str, tmp_path: Path
) -> None:
    with pytest.raises(TruthError, match=message):
        read_ground_truth(write_table(tmp_path / "truth.csv", rows))


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ((*HEAD, "UNK"), "the unknown column UNK"),
        (HEAD[:-1], "no column VASC"),
        ((*HEAD, "MEL"), "twice the column MEL"),
        (("name", *HEAD[1:]), "no column image"),
    ],
)
def test_columns_are_those_of_the_challenge(
    head: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    with pytest.raises(TruthError, match=f"{message}.*ISIC 2018 Task 3"):
        read_ground_truth(write_table(tmp_path / "truth.csv", GOOD, head))


def test_a_file_that_is_not_a_csv_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "truth.csv"
    with pytest.raises(TruthError, match=r"cannot be read.*--truth"):
        read_ground_truth(path)
    path.write_bytes(b"\xff\xd8\xff\xe0 an image")
    with pytest.raises(TruthError, match="is not a CSV"):
        read_ground_truth(path)
