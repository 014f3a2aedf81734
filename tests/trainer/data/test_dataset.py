import hashlib
import zipfile
from pathlib import Path

import numpy as np
import pytest

from lentigo_contract.imaging.read import read_image
from lentigo_contract.labels import index_of
from lentigo_trainer.data import dataset as preparing
from lentigo_trainer.data.dataset import Prepared, open_prepared, prepare
from lentigo_trainer.data.ham10000 import find_source, open_images
from lentigo_trainer.errors import DamagedImagesError, WorkFolderError
from lentigo_trainer.system.progress import LineProgress, SilentProgress
from lentigo_trainer.system.storage import locked
from tests.fakes import synthetic_ham10000


def source(tmp_path: Path, layout: str = "archives") -> Path:
    return synthetic_ham10000(tmp_path / "ham", 3, layout=layout, size=(64, 48))  # type: ignore[arg-type]


def prepared(folder: Path, work: Path) -> Prepared:
    return prepare(find_source(folder), work, 2, SilentProgress())


def test_every_image_stands_in_its_row(tmp_path: Path) -> None:
    folder = source(tmp_path)
    found = prepared(folder, tmp_path / "work")
    assert found.images.shape == (21, 224, 224, 3)
    with open_images(find_source(folder)) as readers:
        for row, name in enumerate(found.records["image_id"]):
            data = readers[name]()
            assert np.array_equal(found.images[row], read_image(data).pixels)
            assert found.digests[row] == hashlib.sha256(data).hexdigest()
    assert found.labels.tolist() == [index_of(code) for code in found.records["dx"]]


def test_released_pages_leave_resident_memory(tmp_path: Path) -> None:
    found = prepared(source(tmp_path), tmp_path / "work")
    total = int(found.images.sum(dtype=np.int64))
    file = tmp_path / "work" / "images.npy"
    assert resident_bytes(file) > found.images.nbytes // 2
    found.release_pages()
    assert resident_bytes(file) == 0
    assert int(found.images.sum(dtype=np.int64)) == total


def resident_bytes(file: Path) -> int:
    """How much of a mapped file this process holds."""
    lines = Path("/proc/self/smaps").read_text().splitlines()
    start = next(place for place, line in enumerate(lines) if line.endswith(str(file)))
    held = next(line for line in lines[start:] if line.startswith("Rss:"))
    return int(held.split()[1]) * 1024


def test_archives_and_folders_are_the_same_data_set(tmp_path: Path) -> None:
    first = prepared(source(tmp_path / "a"), tmp_path / "one")
    second = prepared(source(tmp_path / "b", "folders"), tmp_path / "two")
    assert first.digest == second.digest


def test_a_second_run_decodes_nothing(tmp_path: Path) -> None:
    folder = source(tmp_path)
    first = prepared(folder, tmp_path / "work")
    lines: list[str] = []
    again = prepare(find_source(folder), tmp_path / "work", 2, LineProgress(lines.append))
    assert again.digest == first.digest
    assert [line.split(" in ")[0] for line in lines] == ["Prepared images found"]


def test_another_source_is_decoded_again(tmp_path: Path) -> None:
    first = prepared(source(tmp_path / "a"), tmp_path / "work")
    other = synthetic_ham10000(tmp_path / "other", 4, size=(64, 48))
    assert prepared(other, tmp_path / "work").digest != first.digest


def test_all_broken_images_are_named_and_nothing_is_left_behind(tmp_path: Path) -> None:
    folder = source(tmp_path, "folders")
    images = sorted(folder.rglob("*.jpg"))
    broken = [images[3], images[11]]
    broken[0].write_bytes(broken[0].read_bytes()[:300])
    broken[1].write_bytes(b"no image")
    with pytest.raises(DamagedImagesError, match="2 of 21 images") as caught:
        prepared(folder, tmp_path / "work")
    assert all(path.stem in str(caught.value) for path in broken)
    assert not list((tmp_path / "work").glob("[!.]*"))


def test_a_broken_member_of_an_archive_is_named(tmp_path: Path) -> None:
    folder = source(tmp_path)
    archive = folder / "HAM10000_images_part_1.zip"
    with zipfile.ZipFile(archive) as whole:
        entry = whole.infolist()[2]
    content = bytearray(archive.read_bytes())
    content[entry.header_offset + 200] ^= 0xFF
    archive.write_bytes(content)
    with pytest.raises(DamagedImagesError, match=Path(entry.filename).stem):
        prepared(folder, tmp_path / "work")


def test_identical_images_are_reported(tmp_path: Path) -> None:
    folder = source(tmp_path, "folders")
    first, second, *_ = sorted(folder.rglob("*.jpg"))
    second.write_bytes(first.read_bytes())
    lines: list[str] = []
    prepare(find_source(folder), tmp_path / "work", 1, LineProgress(lines.append))
    assert any(line.startswith("Note: 2 images") for line in lines)


def test_a_folder_without_prepared_images_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(WorkFolderError, match="lentigo-train prepare"):
        open_prepared(tmp_path)


def test_images_that_went_missing_are_decoded_again(tmp_path: Path) -> None:
    folder = source(tmp_path)
    first = prepared(folder, tmp_path / "work")
    with (tmp_path / "work" / "images.npy").open("r+b") as images:
        images.truncate(1_000)
    assert prepared(folder, tmp_path / "work").digest == first.digest


def test_images_of_another_source_replace_the_earlier_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        """Fail after the images, before the summary."""
        raise KeyboardInterrupt

    first = source(tmp_path / "a")
    other = synthetic_ham10000(tmp_path / "b" / "ham", 4, size=(64, 48))
    expected = prepared(first, tmp_path / "work").images.copy()
    with monkeypatch.context() as patched:
        patched.setattr(preparing, "_warn_of_copies", killed)
        with pytest.raises(KeyboardInterrupt):
            prepared(other, tmp_path / "work")
    assert np.array_equal(prepared(first, tmp_path / "work").images, expected)


def test_damage_in_another_source_leaves_what_is_prepared(tmp_path: Path) -> None:
    first = source(tmp_path / "a")
    other = synthetic_ham10000(tmp_path / "b" / "ham", 4, "folders", size=(64, 48))
    next(other.rglob("*.jpg")).write_bytes(b"no image")
    expected = prepared(first, tmp_path / "work").digest
    with pytest.raises(DamagedImagesError):
        prepared(other, tmp_path / "work")
    assert open_prepared(tmp_path / "work").digest == expected


def test_preparing_twice_at_once_is_refused(tmp_path: Path) -> None:
    folder = source(tmp_path)
    with locked(tmp_path / "work"), pytest.raises(WorkFolderError, match="Another run is using"):
        prepared(folder, tmp_path / "work")


def test_an_archive_with_a_password_is_reported_by_its_images(tmp_path: Path) -> None:
    folder = source(tmp_path)
    archive = folder / "HAM10000_images_part_1.zip"
    content = bytearray(archive.read_bytes())
    # Bit 0 of the first entry's flags in the central directory: encrypted.
    content[content.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(content)
    with pytest.raises(DamagedImagesError, match="1 of 21 images"):
        prepared(folder, tmp_path / "work")
