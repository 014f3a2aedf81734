import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lentigo_contract.errors import StorageError
from lentigo_trainer.errors import WorkFolderError
from lentigo_trainer.system.storage import locked

LOCK = """
import sys
from pathlib import Path
from lentigo_trainer.system.storage import locked

with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.read()
"""


def test_a_locked_folder_is_refused_until_its_process_ends(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LOCK, str(tmp_path / "run")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"locked\n"
        message = r"Another run is using .*another --work"
        with pytest.raises(WorkFolderError, match=message), locked(tmp_path / "run"):
            pass
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
    with locked(tmp_path / "run"):
        pass


def test_a_lock_ends_with_its_block(tmp_path: Path) -> None:
    for _ in range(2):
        with locked(tmp_path / "run"):
            pass


def test_locking_a_path_that_cannot_be_a_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot be written"), locked(tmp_path / "file"):
        pass
