"""Slow work on every image: in several processes, in parts that are kept, and resumed.

A part is the result of 256 images in one file, so a run that was stopped goes on where it was. An
identity in the folder says what the parts are of, so that nothing is mixed up.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import JsonValue

from lentigo_trainer.errors import DamagedCacheError, WorkFolderError
from lentigo_trainer.system.progress import Progress
from lentigo_trainer.system.storage import locked, read_arrays, write_whole

PART: Final = 256
"""Images of one file."""

_AHEAD: Final = 4
"""Images that wait for each process."""

Array = npt.NDArray[np.generic]

Result = dict[str, Array]
"""Arrays of one image, by name; of the same shapes for every image."""

_Job = TypeVar("_Job")


def compute_per_image(
    work: Callable[[_Job], Result],
    job_of: Callable[[str], _Job],
    names: Sequence[str],
    folder: Path,
    identity: Mapping[str, JsonValue],
    workers: int,
    progress: Progress,
) -> Result:
    """Do work on every image, or read what an earlier run did.

    Args:
        work: a function of a module, which the processes import.
        job_of: reads what the work takes, given the image's name; called here.
        names: of the images.
        folder: where the parts are kept.
        identity: what the parts are of, besides the images; `title` is shown as the step's name.
        workers: number of processes; one works in this process.
        progress: shows the number of images.

    Returns:
        The results of all images, stacked along a first axis.

    Raises:
        WorkFolderError: the folder holds results of other images or work, or another run uses it.
        DamagedCacheError: a part cannot be read.
        LentigoError: as the work.
    """
    parts = [list(names[start : start + PART]) for start in range(0, len(names), PART)]
    files = [folder / f"{number:04}.npz" for number in range(len(parts))]
    pairs = list(zip(parts, files, strict=True))
    with locked(folder):
        _require_identity(folder / "identity.json", names, identity)
        done = sum(len(part) for part, file in pairs if file.is_file())
        title = str(identity["title"])
        with progress.track(title, total=len(names), unit="images", done=done) as step:
            for part, file in pairs:
                if file.is_file():
                    continue
                rows = []
                for row in _in_processes(work, [partial(job_of, name) for name in part], workers):
                    rows.append(row)
                    step.advance()
                _write(file, rows)
        kept = [_read(file, len(part)) for part, file in pairs]
    try:
        return {name: np.concatenate([part[name] for part in kept]) for name in kept[0]}
    except (KeyError, ValueError) as error:
        raise DamagedCacheError(
            f"The parts in {folder} do not fit together. Delete it to compute them again."
        ) from error


def _in_processes(
    work: Callable[[_Job], Result], jobs: Sequence[Callable[[], _Job]], workers: int
) -> Iterator[Result]:
    if workers == 1:
        yield from (work(make()) for make in jobs)
        return
    # A forked process would inherit locks that other threads hold.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        step = _AHEAD * workers
        for start in range(0, len(jobs), step):
            yield from pool.map(work, [make() for make in jobs[start : start + step]])


def _require_identity(file: Path, names: Sequence[str], identity: Mapping[str, JsonValue]) -> None:
    digest = hashlib.sha256("\n".join(names).encode()).hexdigest()
    own = {**identity, "images": len(names), "digest": digest}
    if not file.exists():
        write_whole(file, json.dumps(own, indent=2).encode())
        return
    try:
        known = json.loads(file.read_bytes())
    except (OSError, ValueError):
        known = None
    if known != own:
        raise WorkFolderError(
            f"{file.parent} holds results of other images or of another release. Choose another "
            "--work, or delete that folder."
        )


def _write(file: Path, rows: Sequence[Result]) -> None:
    stacked = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    write_whole(file, lambda opened: np.savez(opened, allow_pickle=False, **stacked))


def _read(file: Path, images: int) -> Result:
    part = read_arrays(file, "Delete it to compute it again.")
    if not part or any(len(each) != images for each in part.values()):
        raise DamagedCacheError(f"{file} does not fit its images. Delete it to compute it again.")
    return part
