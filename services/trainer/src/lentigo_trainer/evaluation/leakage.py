"""Whether an image or lesion of the evaluation stood in the version's training set."""

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
from lentigo_trainer.errors import MetadataError, OverlapError
from lentigo_trainer.evaluation.image_sets import ImageSet
from lentigo_trainer.system.progress import Progress

NOT_CHECKED: Final = "not checked"


def require_no_leakage(
    version: StoredVersion | None, images: ImageSet, workers: int, progress: Progress
) -> str:
    """Check that nothing of the evaluation trained the version, before anything is measured.

    Args:
        version: what is measured; None for a service whose version is not at hand.
        images: what it is measured on.
        workers: threads that read.
        progress: told how many images are done.

    Returns:
        What was compared, in one sentence that begins with "none: " or "not checked: ".

    Raises:
        OverlapError: images or lesions that trained it; the message names them.
    """
    if version is None:
        return (
            f"{NOT_CHECKED}: a service does not tell what trained its version. Name the version's "
            "folder with --model to have it checked."
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
    noted = (
        f" Note: {len(same_names):,} have the name of a training image, with other bytes: "
        f"{join_names(same_names)}."
        if same_names
        else ""
    )
    return (
        f"none: {len(images.names):,} images were compared by {' and '.join(compared)} with the "
        f"{len(trained.names):,} that trained version {version.version}.{noted}"
    )


def _from_metadata(version: StoredVersion, metadata: pd.DataFrame | None) -> TrainingSet | None:
    """Tell by its digest that a version was trained by the split of this metadata."""
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
    met = [
        name
        for name, digest in zip(images.names, digests, strict=True)
        if digest in trained.digests
    ]
    if met:
        raise OverlapError(
            f"{len(met):,} of {len(images.names):,} images trained this version, so what it says "
            f"of them is worth nothing: {join_names(met)}. Take them out of the evaluation."
        )


def _refuse_lesions(trained: TrainingSet, images: ImageSet, people: pd.DataFrame) -> None:
    met = people[people["lesion_id"].isin(trained.lesions)]
    if len(met):
        named = [
            f"{image} ({lesion})"
            for image, lesion in zip(met["image_id"], met["lesion_id"], strict=True)
        ]
        raise OverlapError(
            f"{len(met):,} of {len(images.names):,} images show lesions that trained this version, "
            f"so what it says of them is worth nothing: {join_names(named)}. Take them out of the "
            "evaluation."
        )


def _digests(readers: Sequence[ImageReader], workers: int, progress: Progress) -> list[str | None]:
    """SHA-256 of each image's bytes; None where it cannot be read, which decoding will tell."""
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
