"""Reading the start of a file that somebody named."""

import os
from pathlib import Path

import pytest

from lentigo_contract.system.files import read_start


def test_no_more_is_read_than_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "shares.toml"
    file.write_bytes(b"0123456789")
    assert read_start(file, 4) == b"0123"
    assert read_start(file, 40) == b"0123456789"


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    assert read_start(tmp_path / "link", 40) == b"content"


def test_a_folder_or_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert read_start(tmp_path, 40) is None
    assert read_start(tmp_path / "pipe", 40) is None


def test_a_missing_file_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_start(tmp_path / "missing", 40)
