"""What a source gives, in which order, and what it says about bad input."""

import os
import tarfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lentigo_contract.errors import ImageTooLargeError
from lentigo_inference.errors import FetchError, FetchFailure, SourceError
from lentigo_inference.scoring.fetching import Fetcher
from lentigo_inference.scoring.items import Content
from lentigo_inference.scoring.sources.choose import choose_source
from tests.inference.scoring.scoring_parts import (
    contents_of,
    paths_of,
    write_folder,
    write_tar,
    write_zip,
)

FILES = {"b/2.jpg": b"two", "a.PNG": b"one", "b/1.jpeg": b"three", "c.txt": b"no image"}
IMAGES = {"a.PNG": b"one", "b/1.jpeg": b"three", "b/2.jpg": b"two"}


def reason_of(source: Path, place: int = 0) -> FetchFailure:
    """Why an image of a source cannot be had."""
    fetcher = Fetcher(2**20, timeout_s=5)
    for number, found in enumerate(choose_source(source, 2**20).images()):
        if number == place:
            with pytest.raises(FetchError) as caught:
                fetcher.fetch(found.place())
            return caught.value.reason
    raise AssertionError("the source has no such image")


def test_a_folder_gives_its_images_in_the_order_of_their_names(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", {**FILES, ".hidden.jpg": b"", "__MACOSX/x.jpg": b""})
    assert contents_of(folder) == IMAGES
    assert paths_of(folder) == sorted(IMAGES)


def test_archives_in_a_folder_are_read_as_folders(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", {"z.jpg": b"last"})
    write_zip(folder / "m.zip", {"inside.jpg": b"zipped"})
    write_tar(folder / "n.tar.gz", {"inside.jpg": b"tarred"})
    expected = {"m.zip/inside.jpg": b"zipped", "n.tar.gz/inside.jpg": b"tarred", "z.jpg": b"last"}
    assert contents_of(folder) == expected


@pytest.mark.parametrize("name", ["x.zip", "x.tar", "x.tar.gz"])
def test_archive_files_give_their_images_in_their_own_order(tmp_path: Path, name: str) -> None:
    write = write_zip if name.endswith("zip") else write_tar
    archive = write(tmp_path / name, FILES)
    assert contents_of(archive) == IMAGES
    assert paths_of(archive) == ["b/2.jpg", "a.PNG", "b/1.jpeg"]


@pytest.mark.parametrize("quoted", ["path\n", "url,other\n", "\ufeffpath\n"])
def test_a_table_gives_paths_below_its_folder(tmp_path: Path, quoted: str) -> None:
    write_folder(tmp_path, IMAGES)
    lines = "".join(f"{name}{',x' if ',' in quoted else ''}\n" for name in IMAGES)
    table = tmp_path / "list.csv"
    table.write_text(quoted + lines, encoding="utf-8")
    assert contents_of(table) == IMAGES


def test_a_parquet_table_gives_absolute_paths_and_urls(tmp_path: Path) -> None:
    pytest.importorskip("fsspec")
    write_folder(tmp_path, {"a.jpg": b"a", "b.jpg": b"b"})
    listed = [str(tmp_path / "a.jpg"), (tmp_path / "b.jpg").as_uri()]
    table = tmp_path / "list.parquet"
    pq.write_table(pa.table({"image": listed, "other": [1, 2]}), table)
    assert contents_of(table) == {listed[0]: b"a", listed[1]: b"b"}


def test_an_unknown_column_is_one_line_with_those_there_are(tmp_path: Path) -> None:
    table = tmp_path / "list.csv"
    table.write_text("first,second\n1,2\n")
    with pytest.raises(SourceError, match=r"first, second.*--column"):
        paths_of(table)


def test_a_damaged_table_is_one_line(tmp_path: Path) -> None:
    table = tmp_path / "list.parquet"
    table.write_bytes(b"PAR1 and nothing else")
    with pytest.raises(SourceError, match="cannot be read"):
        paths_of(table)


@pytest.mark.parametrize("name", ["../x.jpg", "/etc/x.jpg", "a/../../x.jpg", "C:\\x.jpg"])
def test_a_member_that_would_leave_the_archive_is_not_read(tmp_path: Path, name: str) -> None:
    for archive in (
        write_zip(tmp_path / "x.zip", {name: b"x"}),
        write_tar(tmp_path / "x.tar", {name: b"x"}),
    ):
        assert reason_of(archive) == FetchFailure.UNSAFE_PATH


def test_a_relative_path_that_leaves_the_folder_of_the_table_is_not_read(tmp_path: Path) -> None:
    table = write_folder(tmp_path, {"x.jpg": b"x", "sub/list.csv": b"path\n../x.jpg\n"})
    assert reason_of(table / "sub/list.csv") == FetchFailure.UNSAFE_PATH


def test_a_link_out_of_the_folder_is_not_followed_and_one_within_is(tmp_path: Path) -> None:
    write_folder(tmp_path, {"outside.jpg": b"secret", "in/a.jpg": b"a"})
    (tmp_path / "in/b.jpg").symlink_to(tmp_path / "outside.jpg")
    (tmp_path / "in/c.jpg").symlink_to(tmp_path / "in/a.jpg")
    (tmp_path / "in/loop").symlink_to(tmp_path / "in")
    assert paths_of(tmp_path / "in") == ["a.jpg", "b.jpg", "c.jpg"]
    assert reason_of(tmp_path / "in", 1) == FetchFailure.UNSAFE_PATH


def test_a_member_that_expands_beyond_the_limit_is_read_no_further(tmp_path: Path) -> None:
    bomb = write_zip(tmp_path / "bomb.zip", {"bomb.jpg": bytes(50 * 2**20)})
    assert bomb.stat().st_size < 2**17
    for found in choose_source(bomb, 2**20).images():
        place = found.place()
        assert isinstance(place, Content)
        assert len(place.data) == 2**20 + 1
        with pytest.raises(ImageTooLargeError):
            Fetcher(2**20, timeout_s=5).fetch(place)


def test_a_member_with_a_password_says_so(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "x.zip", {"a.jpg": b"x"})
    data = bytearray(archive.read_bytes())
    # The flag of encryption, in the header of the member and in the list of members.
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(data)
    assert reason_of(archive) == FetchFailure.ENCRYPTED


def test_a_damaged_member_costs_no_other(tmp_path: Path) -> None:
    archive = tmp_path / "x.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.jpg", b"first member")
        file.writestr("b.jpg", b"second member")
    damaged = archive.read_bytes().replace(b"first member", b"f1rst member", 1)
    archive.write_bytes(damaged)
    assert reason_of(archive) == FetchFailure.DAMAGED_MEMBER
    last = list(choose_source(archive, 2**20).images())[1]
    assert last.path == "b.jpg"


def test_a_zip_file_that_ends_in_the_middle_is_one_line(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "x.zip", IMAGES)
    archive.write_bytes(archive.read_bytes()[:-30])
    with pytest.raises(SourceError, match="ends in the middle"):
        paths_of(archive)


@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz"])
def test_a_tar_file_that_ends_in_the_middle_gives_what_it_has(tmp_path: Path, name: str) -> None:
    files = {f"{number}.jpg": os.urandom(3000) for number in range(9)}
    archive = write_tar(tmp_path / name, files)
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    found: list[str] = []
    with pytest.raises(SourceError, match=r"ends in the middle, after \d images"):
        found.extend(each.path for each in choose_source(archive, 2**20).images())
    assert found == list(files)[: len(found)]
    assert 2 <= len(found) <= 6


def test_links_in_a_tar_file_are_passed_over(tmp_path: Path) -> None:
    archive = tmp_path / "x.tar"
    with tarfile.open(archive, "w") as file:
        link = tarfile.TarInfo("link.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        file.addfile(link)
    assert paths_of(archive) == []


@pytest.mark.parametrize("name", ["nowhere", "notes.txt"])
def test_what_cannot_be_scored_is_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(SourceError, match=r"Name a folder|none of what can be scored"):
        choose_source(tmp_path / name, 2**20)
