import errno
import os

import pytest

from lentigo_contract.system.files import is_full_disk, is_of_the_disk


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_told_by_its_number(number: int) -> None:
    assert is_full_disk(OSError(number, "x"))
    assert is_of_the_disk(OSError(number, "x"))


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EIO, errno.ENOTDIR])
def test_an_unwritable_place_is_told_from_a_full_one(number: int) -> None:
    assert is_of_the_disk(OSError(number, "x"))
    assert not is_full_disk(OSError(number, "x"))


def test_a_library_that_only_has_words_is_understood() -> None:
    full = RuntimeError(f"write failed: {os.strerror(errno.ENOSPC)}; nothing done")
    assert is_full_disk(full)
    assert is_of_the_disk(RuntimeError(os.strerror(errno.EROFS)))


@pytest.mark.parametrize(
    "error", [FileNotFoundError(errno.ENOENT, "gone"), ValueError("x"), OSError("no number")]
)
def test_other_errors_are_not_of_the_disk(error: Exception) -> None:
    assert not is_of_the_disk(error)
    assert not is_full_disk(error)
