"""Reading a version's files so that what is used is what was checked.

Between the check of a file's sum and a second read of it, whoever can write to the volume can
change it. So the bytes whose sum was checked are the ones that are used, in memory or as a private
copy.
"""

import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Final

from lentigo_contract.errors import DamagedVersionError
from lentigo_contract.manifest.manifest import FileRecord
from lentigo_contract.repository.integrity import check_files
from lentigo_contract.system.files import open_plain

# What TensorFlow loads of a version.
_SAVED_MODEL: Final = ("saved_model.pb", "variables/", "assets/", "fingerprint.pb")


def read_unchanged(folder: Path, relative: str, record: FileRecord) -> bytes:
    """Read a file of a version, and check the bytes that were read.

    Args:
        folder: of the version.
        relative: path of the file in it.
        record: what the manifest says of the file.

    Raises:
        DamagedVersionError: it cannot be read, or is not what was published.
    """
    try:
        with BufferedReader(open_plain(folder / relative)) as file:
            # No more than one byte too many, however large it has become.
            content = file.read(record.bytes + 1)
    except OSError as error:
        raise DamagedVersionError(
            f"{folder}: {relative!r} cannot be read ({error.strerror or error}). Let this user "
            "read it, or publish the version again."
        ) from error
    if hashlib.sha256(content).hexdigest() != record.sha256:
        raise DamagedVersionError(
            f"{folder}: {relative!r} has changed since it was published; its SHA-256 does not "
            "match. Remove the version or publish it again."
        )
    return content


@contextmanager
def unchanged_saved_model(folder: Path, files: Mapping[str, FileRecord]) -> Iterator[Path]:
    """Give a folder from which TensorFlow, which reads files by itself, loads what was checked.

    It is a private copy, gone when the context ends. Where no temporary folder can be written, it
    is the version's own folder, which is checked again at the end: a change that is taken back in
    the meantime then stays unnoticed.

    Raises:
        DamagedVersionError: a file is not what was published.
    """
    with ExitStack() as stack:
        copy = _private_copy(folder, files, stack)
        yield copy or folder
        if copy is None:
            check_files(folder, files)


def _private_copy(folder: Path, files: Mapping[str, FileRecord], stack: ExitStack) -> Path | None:
    """Copy what TensorFlow loads; None where no temporary folder can be written, or it is full."""
    try:
        copy = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lentigo-")))
        for name, record in files.items():
            if name.startswith(_SAVED_MODEL):
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                (copy / name).write_bytes(read_unchanged(folder, name, record))
    except OSError:
        return None
    return copy
