import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lentigo_trainer.cli.main import app
from lentigo_trainer.data.extra.imported_set import open_set
from lentigo_trainer.errors import LicenseError
from tests.fakes import synthetic_ham10000
from tests.trainer.data.extra.collections_on_disk import write_images, write_table

FREE = ("--license", "CC BY-NC 4.0")


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    folder = write_images(tmp_path / "clinic", "a", "b", "c")
    rows = [("a", "nv", "1"), ("b", "Melanoma, NOS", "2"), ("c", "who knows", "3")]
    write_table(folder / "labels.csv", ("image", "label", "lesion"), *rows)
    return folder


def imports(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["import", *map(str, arguments)])


def test_it_says_what_was_imported_and_what_was_left_out(collection: Path, tmp_path: Path) -> None:
    to = tmp_path / "sets" / "clinic-1"
    ended = imports("--images", collection, "--to", to, *FREE)
    assert ended.exit_code == 0, ended.output
    assert f"2 images of 2 groups are in {to}: 1 mel, 1 nv. Licence: CC BY-NC 4.0." in ended.output
    assert "Left out, unknown diagnosis (who knows): 1 (c)." in ended.output
    assert "Not compared with HAM10000" in ended.output
    assert open_set(to).summary.name == "clinic-1"


def test_duplicates_of_ham10000_and_of_excluded_sets_are_left_out(
    collection: Path, tmp_path: Path
) -> None:
    ham = synthetic_ham10000(tmp_path / "ham", 1, "folders", size=(64, 48))
    first = next(iter(sorted(ham.rglob("*.jpg"))))
    shutil.copy(first, collection / "a.jpg")
    test_set = tmp_path / "test-set"
    test_set.mkdir()
    shutil.copy(collection / "b.jpg", test_set / "other.jpg")
    write_table(collection / "labels.csv", ("image", "label"), *((name, "nv") for name in "abc"))
    known = ("--source", ham, "--exclude", test_set)
    ended = imports("--images", collection, "--to", tmp_path / "set", *known, *FREE)
    assert "Left out, a duplicate of HAM10000: 1 (a)." in ended.output
    assert "Left out, a duplicate of test-set: 1 (b)." in ended.output
    assert open_set(tmp_path / "set").records["image_id"].tolist() == ["c"]
    assert open_set(tmp_path / "set").summary.compared_with[1] == "test-set (1 image)"


def test_a_licence_that_is_none_is_refused(collection: Path, tmp_path: Path) -> None:
    ended = imports("--images", collection, "--to", tmp_path / "set", "--license", "mine")
    assert isinstance(ended.exception, LicenseError)
    assert not (tmp_path / "set").exists()


def test_what_the_set_knows_can_be_said(collection: Path, tmp_path: Path) -> None:
    arguments = ("--images", collection, *FREE)
    assert imports(*arguments, "--to", tmp_path / "a", "--knows", "df, mel").exit_code == 0
    assert open_set(tmp_path / "a").summary.knows == ("df", "mel", "nv")
    refused = imports(*arguments, "--to", tmp_path / "b", "--knows", "mel,wart")
    assert refused.exit_code == 2
    assert "--knows" in refused.output


def test_a_name_that_no_set_can_have_is_refused(collection: Path, tmp_path: Path) -> None:
    ended = imports("--images", collection, "--to", tmp_path / "My Set", *FREE)
    assert ended.exit_code == 2
    assert "--name" in ended.output
