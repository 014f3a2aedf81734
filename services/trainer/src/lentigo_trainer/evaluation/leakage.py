"""Check that no image or lesion of an evaluation was in the version's training set."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pandas as pd

from lentigo_contract.repository.store import StoredVersion
from lentigo_trainer.data.dataset import UNREADABLE
from lentigo_trainer.data.ham10000 import ImageReader, join_names
from lentigo_trainer.data.provenance import TrainingSet, read_training_set, split_digest
from lentigo_trainer.data.splits import split
from lentigo_trainer.errors import LeakageError, MetadataError
from lentigo_trainer.evaluation.image_sets import ImageSet
from lentigo_trainer.system.progress import Progress

NOT_CHECKED: Final = "not checked"


def require_no_leakage(
    version: StoredVersion | None, images: ImageSet, workers: int, progress: Progress
) -> str:
    """Check that no image or lesion of an evaluation trained the version.

    Args:
        version: what is evaluated; None for a service whose version folder is not available.
        images: what it is evaluated on.
        workers: threads that read.
        progress: receives how many images are done.

    Returns:
        What was compared, in one sentence that begins with "none: " or "not checked: ".

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
    compared = []
    if trained.digests:
        _refuse_images(trained, images, _digests(images.readers, workers, progress))
        compared.append("the SHA-256 of their bytes")
    if images.people is not None:
        _refuse_lesions(trained, images, images.people)
        compared.append("lesion")
    same_names = sorted(trained.names & set(images.names))
    note = (
        f" Note: {len(same_names):,} have the name of a training image, with other bytes: "
        f"{join_names(same_names)}."
        if same_names
        else ""
    )
    return (
        f"none: {len(images.names):,} images were compared by {' and '.join(compared)} with the "
        f"{len(trained.names):,} that trained version {version.version}.{note}"
    )


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


def _refuse_images(trained: TrainingSet, images: ImageSet, digests: Sequence[str | None]) -> None:
    shared = [
        name
        for name, digest in zip(images.names, digests, strict=True)
        if digest in trained.digests
    ]
    if shared:
        raise LeakageError(
            f"{len(shared):,} of {len(images.names):,} images trained this version, so its "
            f"predictions for them prove nothing: {join_names(shared)}. Remove them from the "
            "evaluation."
        )


def _refuse_lesions(trained: TrainingSet, images: ImageSet, people: pd.DataFrame) -> None:
    shared = people[people["lesion_id"].isin(trained.lesions)]
    if len(shared):
        names = [
            f"{image} ({lesion})"
            for image, lesion in zip(shared["image_id"], shared["lesion_id"], strict=True)
        ]
        raise LeakageError(
            f"{len(shared):,} of {len(images.names):,} images show lesions that trained this "
            f"version, so its predictions for them prove nothing: {join_names(names)}. Remove them "
            "from the evaluation."
        )


def _digests(readers: Sequence[ImageReader], workers: int, progress: Progress) -> list[str | None]:
    """Return the SHA-256 of each image's bytes; None if unreadable, which decoding reports."""
    found: list[str | None] = []
    with (
        ThreadPoolExecutor(workers) as pool,
        progress.track("Comparing", total=len(readers), unit="images") as step,
    ):
        for digest in pool.map(_digest, readers):
            found.append(digest)
            step.advance()
    return found


def _digest(read: ImageReader) -> str | None:
    try:
        return hashlib.sha256(read()).hexdigest()
    except UNREADABLE:
        return None
