"""HAM10000 from its Dataverse record into a folder."""

from pathlib import Path
from typing import Final

import httpx

from lentigo_contract.errors import DownloadError
from lentigo_trainer import __version__
from lentigo_trainer.dataverse import RemoteFile, list_files
from lentigo_trainer.download import download
from lentigo_trainer.file_check import check_file
from lentigo_trainer.system.progress import Progress
from lentigo_trainer.system.retrying import Patience, patiently
from lentigo_trainer.system.storage import storage_errors

HARVARD_DATAVERSE: Final = "https://dataverse.harvard.edu"
HAM10000: Final = "doi:10.7910/DVN/DBW86T"

FILES: Final = (
    "HAM10000_metadata.csv",
    "HAM10000_images_part_1.zip",
    "HAM10000_images_part_2.zip",
)
"""What training needs, under the names it is saved by; the small one first, to fail early."""

LICENCE: Final = (
    "HAM10000 (Tschandl, Rosendahl, Kittler 2018) is under CC BY-NC 4.0: for non-commercial use, "
    "with credit to its source."
)

# A server may think for a while before it answers; a connection that says nothing is dead sooner.
_TIMEOUT: Final = httpx.Timeout(60.0, connect=20.0)


def fetch_ham10000(
    folder: Path,
    progress: Progress,
    server: str = HARVARD_DATAVERSE,
    patience: Patience | None = None,
) -> tuple[Path, ...]:
    """Download metadata and both image archives, 3 GB, or what is still missing of them.

    Args:
        folder: where to; made if missing. A file that is there already is checked and kept.
        progress: told what comes.
        server: address of a Dataverse that holds the record.
        patience: how often to try again; by default six times in a row, for up to a minute each.

    Returns:
        The three files, in the order of `FILES`.

    Raises:
        DownloadError: the server cannot be reached, refuses, or sends something else; or a file of
            that name is there but is not the one listed.
        StorageError: the disk is full or not writable; what has arrived is kept.
    """
    waiting = patience or Patience()
    agent = {"User-Agent": f"lentigo-train/{__version__}"}
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with httpx.Client(follow_redirects=True, timeout=_TIMEOUT, headers=agent) as client:
        listed = patiently(lambda: list_files(client, server, HAM10000), waiting, progress.say)
        wanted = [(_named(name, listed, server), folder / name) for name in FILES]
        progress.say(LICENCE)
        for file, target in wanted:
            if target.exists():
                _require_same(target, file, progress)
            else:
                download(client, file, target, progress, waiting)
    return tuple(target for _, target in wanted)


def _named(name: str, listed: tuple[RemoteFile, ...], server: str) -> RemoteFile:
    # Dataverse lists the metadata as .tab, whatever it was uploaded as.
    for file in listed:
        if Path(file.name).stem.casefold() == Path(name).stem.casefold():
            return file
    names = ", ".join(file.name for file in listed) or "no file at all"
    raise DownloadError(f"{server} lists no {Path(name).stem} for {HAM10000}; it lists {names}.")


def _require_same(target: Path, file: RemoteFile, progress: Progress) -> None:
    try:
        with storage_errors(target), target.open("rb") as content:
            check_file(content, file, progress)
    except DownloadError as other:
        raise DownloadError(
            f"{target} is there already, but is not the file of the server ({other}). It was left "
            "as it is: move it away and run this again, or choose another folder."
        ) from other
    progress.say(f"{target.name} is there already.")
