import errno
import os
from pathlib import Path

import numpy as np
import pytest

from lentigo_contract.errors import StorageError
from lentigo_trainer.errors import DamagedCacheError, WorkFolderError
from lentigo_trainer.system.storage import (
    read_arrays,
    require_space,
    storage_errors,
    write_whole,
)

FULL_DEVICE = Path("/dev/full")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_says_to_free_space(tmp_path: Path, number: int) -> None:
    message = f"disk that holds {tmp_path} is full. Free some"
    with pytest.raises(StorageError, match=message), storage_errors(tmp_path):
        raise OSError(number, os.strerror(number))


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO])
def test_an_unwritable_folder_says_to_choose_another(tmp_path: Path, number: int) -> None:
    message = f"{os.strerror(number)}.*another folder"
    with pytest.raises(StorageError, match=message), storage_errors(tmp_path):
        raise OSError(number, os.strerror(number))


def test_a_full_disk_reported_by_tensorflow_is_recognised(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="is full"), storage_errors(tmp_path):
        raise RuntimeError("{{node SaveV2}} variables/x.data: No space left on device")


@pytest.mark.parametrize("error", [ValueError("wrong"), FileNotFoundError(2, "gone")])
def test_other_errors_are_raised_unchanged(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(type(error)) as caught, storage_errors(tmp_path):
        raise error
    assert caught.value is error


def test_our_own_errors_are_raised_unchanged(tmp_path: Path) -> None:
    ours = WorkFolderError(os.strerror(errno.ENOSPC))
    with pytest.raises(WorkFolderError) as caught, storage_errors(tmp_path):
        raise ours
    assert caught.value is ours


@pytest.mark.skipif(not FULL_DEVICE.exists(), reason="this system has no /dev/full")
def test_the_full_device_of_the_kernel_is_a_full_disk() -> None:
    with (
        pytest.raises(StorageError, match="is full"),
        storage_errors(FULL_DEVICE),
        FULL_DEVICE.open("wb", buffering=0) as file,
    ):
        file.write(b"x")


def test_a_file_in_place_of_a_folder_is_an_error(tmp_path: Path) -> None:
    in_the_way = tmp_path / "work"
    in_the_way.touch()
    with pytest.raises(StorageError, match="cannot be written"):
        write_whole(in_the_way / "run" / "file", lambda file: file.write(b"x"))


def test_too_little_free_space_is_an_error_before_writing(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"needs 1000000000.0 GB of free space; .* larger disk"):
        require_space(tmp_path, 10**18)
    require_space(tmp_path, 0)


def test_a_file_is_written_with_its_folders_and_content(tmp_path: Path) -> None:
    path = tmp_path / "some" / "where" / "file"
    write_whole(path, lambda file: file.write(b"content"))
    assert path.read_bytes() == b"content"
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()])
def test_an_interrupted_write_leaves_the_file_unchanged(
    tmp_path: Path, error: BaseException
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before")

    def write(file: object) -> None:
        file.write(b"half")  # type: ignore[attr-defined]
        raise error

    with pytest.raises((StorageError, KeyboardInterrupt)):
        write_whole(path, write)
    assert path.read_bytes() == b"before"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_arrays_are_read_as_they_were_written(tmp_path: Path) -> None:
    file = tmp_path / "part.npz"
    write_whole(file, lambda opened: np.savez(opened, one=np.arange(3), two=np.ones((2, 2))))
    found = read_arrays(file, "Delete it.")
    assert found.keys() == {"one", "two"}
    np.testing.assert_array_equal(found["one"], [0, 1, 2])


@pytest.mark.parametrize("kept", [0, 1, 4, 60, 200, -1])
def test_arrays_that_are_cut_off_say_what_to_do(tmp_path: Path, kept: int) -> None:
    file = tmp_path / "part.npz"
    write_whole(file, lambda opened: np.savez(opened, one=np.arange(30)))
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(DamagedCacheError, match=r"part\.npz cannot be read\. Delete it\."):
        read_arrays(file, "Delete it.")


def test_arrays_that_are_missing_changed_or_of_another_kind_say_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "part.npz"
    with pytest.raises(DamagedCacheError):
        read_arrays(file, "Delete it.")
    write_whole(file, lambda opened: np.savez(opened, one=np.arange(30)))
    whole = bytearray(file.read_bytes())
    whole[200] ^= 1
    write_whole(file, bytes(whole))
    with pytest.raises(DamagedCacheError):
        read_arrays(file, "Delete it.")
    for content in (np.arange(3), np.array([{"an": "object"}])):
        write_whole(file, lambda opened, content=content: np.save(opened, content))  # type: ignore[misc]
        with pytest.raises(DamagedCacheError):
            read_arrays(file, "Delete it.")
