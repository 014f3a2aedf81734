import os
import zipfile
from pathlib import Path

import pytest

from lentigo_trainer.data.extra import archives
from lentigo_trainer.data.extra.archives import open_contents
from lentigo_trainer.errors import DamagedArchiveError, SourceNotFoundError, UnsafeArchiveError
from tests.trainer.data.extra.collections_on_disk import write_archive, write_images


def test_images_and_tables_are_found_at_any_depth(tmp_path: Path) -> None:
    write_images(tmp_path / "set" / "deep", "a")
    write_archive(tmp_path / "set" / "more.zip", {"x/b.PNG": b"b", "m.csv": b"c", "notes.txt": b""})
    with open_contents([tmp_path / "set"]) as contents:
        assert sorted(contents.images) == ["a", "b"]
        assert contents.images["b"][0].read() == b"b"
        assert [table.name for table in contents.tables] == ["m.csv"]


def test_what_a_system_leaves_behind_is_no_image(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "a.zip", {"__MACOSX/._a.jpg": b"", ".b.jpg": b"", "c.jpg": b""})
    with open_contents([path]) as contents:
        assert list(contents.images) == ["c"]


@pytest.mark.parametrize(
    "name", ["../a.jpg", "x/../../a.jpg", "/etc/a.jpg", "..\\a.jpg", "C:/a.jpg"]
)
def test_an_archive_that_leads_out_of_itself_is_refused(tmp_path: Path, name: str) -> None:
    path = write_archive(tmp_path / "a.zip", {"good.jpg": b"", name: b"bad"})
    with pytest.raises(UnsafeArchiveError, match="leads out of it"), open_contents([path]):
        pass
    assert list(tmp_path.iterdir()) == [path]


def test_an_archive_that_unpacks_to_far_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "a.zip", {"a.jpg": bytes(32 * 2**20)}, compressed=True)
    assert path.stat().st_size < 100_000
    with pytest.raises(UnsafeArchiveError, match="a zip bomb"), open_contents([path]):
        pass


def test_a_bomb_among_many_images_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "_HARMLESS", 64 * 2**20)
    members = {"a.jpg": os.urandom(2**16), "b.jpg": bytes(32 * 2**20)}
    path = write_archive(tmp_path / "a.zip", members, compressed=True)
    with pytest.raises(UnsafeArchiveError, match=r"'b\.jpg'\): a zip bomb"), open_contents([path]):
        pass


def test_a_member_that_lies_about_its_size_is_not_unpacked_further(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "a.zip", {"a.jpg": bytes(2**20)}, compressed=True)
    data = path.read_bytes()
    stated, lie = (2**20).to_bytes(4, "little"), (2**10).to_bytes(4, "little")
    path.write_bytes(data.replace(stated, lie))
    with open_contents([path]) as contents, pytest.raises(zipfile.BadZipFile):
        contents.images["a"][0].read()


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"not an archive")
    with pytest.raises(DamagedArchiveError, match="cut off"), open_contents([tmp_path / "a.zip"]):
        pass


def test_a_place_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError, match="nowhere"), open_contents([tmp_path / "nowhere"]):
        pass
