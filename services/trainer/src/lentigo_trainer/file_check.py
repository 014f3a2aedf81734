"""Whether a file on the disk is the one a server lists."""

import hashlib
import os
from typing import BinaryIO, Final

from lentigo_contract.errors import DownloadError
from lentigo_trainer.dataverse import RemoteFile
from lentigo_trainer.system.progress import BYTES, Progress

_CHUNK: Final = 1 << 20


def check_file(content: BinaryIO, file: RemoteFile, progress: Progress) -> None:
    """Compare a file's size and check sum with what the server states.

    A table's original passes by its size alone, and that is said; `dataverse` tells why.

    Args:
        content: opened for reading.
        file: what it should be.
        progress: told how many bytes are read, and what could not be checked.

    Raises:
        DownloadError: size or sum differ, or there is nothing to compare with.
    """
    size = content.seek(0, os.SEEK_END)
    if file.size is not None and size != file.size:
        raise DownloadError(f"{file.name} has {size:,} bytes; the server lists {file.size:,}.")
    if file.check_sum is not None:
        found = _sum_of(content, file.check_sum.algorithm, size, file.name, progress)
        if found == file.check_sum.value:
            return
        if not file.is_original:
            raise DownloadError(
                f"{file.name} has the check sum {found}; the server lists {file.check_sum.value}."
            )
    if file.size is None:
        raise DownloadError(
            f"{file.name} cannot be checked: the server lists neither its size nor a sum that fits."
        )
    progress.say(
        f"{file.name}: only its size was checked, for Dataverse lists no sum to rely on. What "
        "it says is checked by `lentigo-train prepare`."
    )


def _sum_of(content: BinaryIO, algorithm: str, size: int, name: str, progress: Progress) -> str:
    digest = hashlib.new(algorithm, usedforsecurity=False)
    content.seek(0)
    with progress.track(f"Checking {name}", size, BYTES) as step:
        while chunk := content.read(_CHUNK):
            digest.update(chunk)
            step.advance(len(chunk))
    return digest.hexdigest()
