import zipfile
from pathlib import Path

import pytest

from lentigo_trainer.data.ham10000 import find_source, open_images
from lentigo_trainer.errors import DamagedArchiveError, SourceNotFoundError
from tests.fakes import synthetic_ham10000


def names(folder: Path) -> set[str]:
    with open_images(find_source(folder)) as readers:
        return set(readers)


@pytest.mark.parametrize("layout", ["archives", "folders"])
def test_archives_and_folders_give_the_same_images(tmp_path: Path, layout: str) -> None:
    folder = synthetic_ham10000(tmp_path / "ham", 2, layout=layout, size=(64, 48))  # type: ignore[arg-type]
    with open_images(find_source(folder)) as readers:
        assert len(readers) == 14
        assert all(name.startswith("ISIC_00") for name in readers)
        assert all(read()[:2] == b"\xff\xd8" for read in readers.values())


def test_kaggles_second_copy_of_a_folder_is_ignored(tmp_path: Path) -> None:
    folder = synthetic_ham10000(tmp_path / "ham", 2, layout="folders", size=(64, 48))
    expected = names(folder)
    copy = folder / "ham10000_images_part_1"
    copy.mkdir()
    assert names(folder) == expected


def test_images_deeper_in_a_folder_are_found(tmp_path: Path) -> None:
    folder = synthetic_ham10000(tmp_path / "ham", 2, layout="folders", size=(64, 48))
    expected = names(folder)
    part = folder / "HAM10000_images_part_1"
    inner = part / "HAM10000_images_part_1"
    inner.mkdir()
    for image in part.glob("*.jpg"):
        image.rename(inner / image.name)
    assert names(folder) == expected


def test_macos_resource_forks_are_ignored(tmp_path: Path) -> None:
    folder = synthetic_ham10000(tmp_path / "ham", 1, size=(64, 48))
    expected = names(folder)
    with zipfile.ZipFile(folder / "HAM10000_images_part_1.zip", "a") as archive:
        archive.writestr("__MACOSX/._ISIC_0024306.jpg", b"fork")
        archive.writestr("._ISIC_0024307.jpg", b"fork")
    assert names(folder) == expected


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError, match=r"no folder .*nowhere.*lentigo-train fetch"):
        find_source(tmp_path / "nowhere")


def test_missing_metadata_are_named(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError, match=r"no HAM10000_metadata\.csv"):
        find_source(tmp_path)


def test_missing_images_are_named(tmp_path: Path) -> None:
    (tmp_path / "HAM10000_metadata.csv").touch()
    with pytest.raises(SourceNotFoundError, match="no HAM10000_images_part_1"):
        find_source(tmp_path)


@pytest.mark.parametrize("keep", [0, 100, -30])
def test_an_archive_that_is_cut_off_is_named(tmp_path: Path, keep: int) -> None:
    folder = synthetic_ham10000(tmp_path / "ham", 2, size=(64, 48))
    archive = folder / "HAM10000_images_part_2.zip"
    archive.write_bytes(archive.read_bytes()[:keep])
    with pytest.raises(DamagedArchiveError, match=r"part_2\.zip is cut off"):
        names(folder)
