"""Check that no image or lesion of an evaluation was in the version's training set."""

import hashlib
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import pandas as pd

from lentigo_contract.errors import ImageError
from lentigo_contract.imaging.read import read_image
from lentigo_contract.repository.store import StoredVersion
from lentigo_contract.wording import pluralize
from lentigo_trainer.data.dataset import UNREADABLE
from lentigo_trainer.data.ham10000 import ImageReader, join_names
from lentigo_trainer.data.perceptual_hash import Fingerprints, find_copied
from lentigo_trainer.data.provenance import TrainingSet, read_training_set, split_digest
from lentigo_trainer.data.splits import split
from lentigo_trainer.errors import LeakageError, MetadataError
from lentigo_trainer.evaluation.images.image_sets import ImageSet
from lentigo_trainer.system.progress import Progress

NOT_CHECKED: Final = "not checked"

ALLOWED: Final = "allowed"

_ISIC_NAME: Final = re.compile(r"ISIC_\d{7}", re.IGNORECASE)
"""Names that the ISIC Archive gives; any other may be given twice."""


def require_no_leakage(
    version: StoredVersion | None,
    images: ImageSet,
    workers: int,
    progress: Progress,
    allow_overlap: bool = False,
) -> str:
    """Check that no image or lesion of an evaluation trained the version.

    Args:
        version: what is evaluated; None for a service whose version folder is not available.
        images: what it is evaluated on.
        workers: threads that read.
        progress: receives how many images are done.
        allow_overlap: whether to describe an overlap where it would be refused.

    Returns:
        What was compared, in sentences that begin with "none: ", "allowed: " or "not checked: ".

    Raises:
        LeakageError: images or lesions that trained it; the message names them.
    """
    if version is None:
        return (
            f"{NOT_CHECKED}: a service does not report what trained its version. Give the "
            "version's folder with --model to check it."
        )
    trained = read_training_set(version.path)
    if trained is None:
        trained = _from_metadata(version, images.metadata)
    if trained is None:
        return (
            f"{NOT_CHECKED}: version {version.version} does not carry a list of its training "
            "images, as older releases published it."
        )
    found = _compare(trained, images, workers, progress)
    compared = (
        f"{pluralize(len(images.names), 'image was', 'images were')} compared by "
        f"{_listed(found.compared)} with the "
        f"{len(trained.names):,} that trained version {version.version}.{''.join(found.notes)}"
    )
    if not found.faults:
        return f"none: {compared}"
    faults = " ".join(found.faults)
    if allow_overlap:
        return f"{ALLOWED}: {faults} {compared}"
    raise LeakageError(
        f"{faults} Remove them from the evaluation, or evaluate them all the same with "
        "--allow-overlap, and the report will say so."
    )


@dataclass(frozen=True, slots=True)
class _Comparison:
    """How an evaluation was compared with a training set.

    Attributes:
        compared: by what.
        faults: what must not be, one sentence each, naming the images.
        notes: what else is worth saying, each with a space before it.
    """

    compared: tuple[str, ...]
    faults: tuple[str, ...]
    notes: tuple[str, ...]


def _compare(
    trained: TrainingSet, images: ImageSet, workers: int, progress: Progress
) -> _Comparison:
    compared, faults, notes = ["name"], [], []
    same_names = sorted(trained.names & set(images.names))
    known = [name for name in same_names if _ISIC_NAME.fullmatch(name)]
    others = [name for name in same_names if name not in known]
    if trained.digests:
        compared.append("the SHA-256 of their bytes")
        copies = _copies(trained, images, workers, progress)
        identical = [name for name, copy in copies.items() if copy is None]
        faults += _fault(identical, images, "trained this version")
        if len(trained.fingerprints):
            compared.append("perceptual hash")
            alike = [
                f"{name} (like {copy})"
                for name, copy in copies.items()
                if copy is not None and name not in known
            ]
            faults += _fault(
                alike,
                images,
                "looks like an image that trained this version",
                "look like an image that trained this version",
            )
        else:
            notes.append(
                " It carries no perceptual hashes, as older releases published it, so copies with "
                "another size or quality were recognised by their names alone."
            )
        known = [name for name in known if name not in identical]
    faults += _fault(
        known,
        images,
        "has the ISIC name of an image that trained this version",
        "have the ISIC name of an image that trained this version",
    )
    if images.people is not None:
        compared.append("lesion")
        shared = images.people[images.people["lesion_id"].isin(trained.lesions)]
        pairs = zip(shared["image_id"], shared["lesion_id"], strict=True)
        lesions = [f"{image} ({lesion})" for image, lesion in pairs]
        faults += _fault(
            lesions,
            images,
            "shows a lesion that trained this version",
            "show lesions that trained this version",
        )
    if others:
        notes.append(
            f" Note: {pluralize(len(others), 'has', 'have')} the name of a training image, which "
            "is not an ISIC name: "
            f"{join_names(others)}."
        )
    return _Comparison(tuple(compared), tuple(faults), tuple(notes))


def _listed(names: Sequence[str]) -> str:
    """Join names: "name", "name and lesion", "name, perceptual hash and lesion"."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _fault(names: Sequence[str], images: ImageSet, one: str, several: str = "") -> list[str]:
    """Say what is wrong with some of the images; nothing if there are none.

    Args:
        names: of the images.
        images: all of the evaluation.
        one: what is wrong with one.
        several: the same of more than one, where it differs.
    """
    if not names:
        return []
    of_all = f"of {pluralize(len(images.names), 'image')}"
    wrong = pluralize(len(names), f"{of_all} {one}", f"{of_all} {several or one}")
    proves = "so its predictions for them prove nothing"
    return [f"{wrong}, {proves}: {join_names(names)}."]


def _from_metadata(version: StoredVersion, metadata: pd.DataFrame | None) -> TrainingSet | None:
    """Return the training set of this metadata's split, if its digest is the version's."""
    if metadata is None:
        return None
    try:
        whole = split(metadata)
    except MetadataError:
        return None
    names = metadata["image_id"].to_numpy()
    if (
        split_digest({"train": names[whole.train], "validation": names[whole.validation]})
        != version.manifest.split.digest
    ):
        return None
    return TrainingSet(
        digests=frozenset(),
        lesions=frozenset(metadata["lesion_id"].iloc[whole.train]),
        names=frozenset(names[whole.train]),
    )


def _copies(
    trained: TrainingSet, images: ImageSet, workers: int, progress: Progress
) -> dict[str, str | None]:
    """Find copies of training images by their bytes and by perceptual hash.

    Known duplicates may look alike: a report has its metrics without them too.

    Returns:
        Of each image that is a copy, the name of the training image that it looks like; None where
        the bytes are equal.
    """
    copies: dict[str, str | None] = {}
    duplicated = images.duplicated

    def compare(number: int) -> tuple[bool, str | None]:
        stored = None if duplicated[number] else trained.fingerprints
        return _compare_one(images.readers[number], trained, stored)

    with (
        ThreadPoolExecutor(workers) as pool,
        progress.track("Comparing", total=len(images.readers), unit="images") as step,
    ):
        numbers = range(len(images.readers))
        for name, (identical, alike) in zip(images.names, pool.map(compare, numbers), strict=True):
            if identical or alike is not None:
                copies[name] = None if identical else alike
            step.advance()
    return copies


def _compare_one(
    read: ImageReader, trained: TrainingSet, stored: Fingerprints | None
) -> tuple[bool, str | None]:
    """Return whether the bytes trained, and which training image this one looks like.

    An image that cannot be read is no copy; decoding reports it.
    """
    try:
        data = read()
        if hashlib.sha256(data).hexdigest() in trained.digests:
            return True, None
        if not stored:
            return False, None
        row = find_copied(read_image(data).pixels, stored)
    except (*UNREADABLE, ImageError):
        return False, None
    return False, None if row is None else trained.hashed[row]
