"""The search for duplicates: features of all images, candidates, matching, and the list."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import cv2
import pandas as pd
from threadpoolctl import threadpool_limits

from lentigo_contract.wording import pluralize
from lentigo_trainer.data.duplicates.candidates import Candidate, Neighbours, choose_candidates
from lentigo_trainer.data.duplicates.known import COLUMNS, merged_lesions
from lentigo_trainer.data.duplicates.local_features import LocalFeatures, local_features
from lentigo_trainer.data.duplicates.matching import matching_points
from lentigo_trainer.data.ham10000 import Source, open_images, read_metadata, require_images
from lentigo_trainer.system.progress import Progress
from lentigo_trainer.system.storage import write_whole

FEWEST_POINTS: Final = 10
"""Matching points from which two images are of one lesion; decision 21 says why."""

NEIGHBOURS: Final = Neighbours(nearest=5, mirrored=2, alike=50)

# Pairs that are matched between two reports of progress.
_BATCH: Final = 200


@dataclass(frozen=True, slots=True)
class Duplicates:
    """What a search found.

    Attributes:
        pairs: one row a pair of images, the columns `known.COLUMNS`, most matching points first.
        images: how many images were searched.
        lesions: how many lesion ids they have.
        merged: how many lesions they show, with the pairs' lesions joined.
        matched: how many pairs were matched.
    """

    pairs: pd.DataFrame
    images: int
    lesions: int
    merged: int
    matched: int


def find_duplicates(source: Source, workers: int, progress: Progress) -> Duplicates:
    """Find images that show one lesion under two lesion ids.

    Args:
        source: where the data set is.
        workers: number of threads.
        progress: receives the progress of each step.

    Raises:
        MetadataError: the metadata contradicts itself or the images.
        DamagedArchiveError: an archive is cut off.
        DamagedImagesError: images cannot be read; the message names all of them.
    """
    table = read_metadata(source.metadata)
    with open_images(source) as readers:
        require_images(table, readers.keys(), source.metadata)
        images = [(name, readers[name]) for name in table["image_id"]]
        features = local_features(images, workers, progress)
    progress.say("Choosing the pairs to match")
    candidates = choose_candidates(features, table, NEIGHBOURS)
    points = match(features, candidates, workers, progress)
    pairs = _pairs(table, candidates, points)
    return Duplicates(
        pairs=pairs,
        images=len(table),
        lesions=table["lesion_id"].nunique(),
        merged=len(set(merged_lesions(table, pairs))),
        matched=len(candidates),
    )


def match(
    features: Sequence[LocalFeatures],
    candidates: Sequence[Candidate],
    workers: int,
    progress: Progress,
) -> list[int]:
    """Return the matching points of each candidate, in their order."""

    def points_of(batch: Iterable[Candidate]) -> list[int]:
        return [_points(features, candidate) for candidate in batch]

    # One thread to a pair: the threads of several pairs would wait for each other.
    cv2.setNumThreads(1)
    found: list[int] = []
    with (
        threadpool_limits(1, "blas"),
        ThreadPoolExecutor(workers) as pool,
        progress.track("Matching", total=len(candidates), unit="pairs") as step,
    ):
        for points in pool.map(points_of, _batches(candidates)):
            found += points
            step.advance(len(points))
    return found


def write_duplicates(path: Path, found: Duplicates, now: datetime) -> None:
    """Write the list, with a header that says when and how it was made.

    Args:
        path: the CSV file.
        found: what a search found.
        now: the time of the search, UTC.

    Raises:
        StorageError: the disk is full or not writable.
    """
    pairs = pluralize(len(found.pairs), "pair")
    images = pluralize(found.images, "image")
    ids, lesions = pluralize(found.lesions, "lesion id"), pluralize(found.merged, "lesion")
    header = (
        f"# {pairs} of images that show one lesion under two lesion ids, found "
        f"{now:%Y-%m-%d} by `lentigo-train duplicates`\n"
        f"# among {images} of {ids}, which are {lesions}. Of each image {NEIGHBOURS.nearest} "
        "neighbours of other\n"
        f"# lesions by VLAD were matched, {NEIGHBOURS.mirrored} of its mirror image, and "
        f"{NEIGHBOURS.alike} of the same diagnosis, sex and age: "
        f"{pluralize(found.matched, 'pair')}.\n"
        f"# SIFT, ratio test, RANSAC over similarity transformations; {FEWEST_POINTS} matching "
        "points or more make a pair.\n"
    )
    text = header + found.pairs.to_csv(index=False, lineterminator="\n")
    write_whole(path, lambda file: file.write(text.encode()))


def _points(features: Sequence[LocalFeatures], candidate: Candidate) -> int:
    query = features[candidate.query]
    if candidate.mirrored:
        query = query.mirrored()
    return matching_points(query, features[candidate.other])


def _batches(candidates: Sequence[Candidate]) -> list[Sequence[Candidate]]:
    return [candidates[start : start + _BATCH] for start in range(0, len(candidates), _BATCH)]


def _pairs(table: pd.DataFrame, candidates: Sequence[Candidate], points: list[int]) -> pd.DataFrame:
    names, lesions = table["image_id"].to_numpy(str), table["lesion_id"].to_numpy(str)
    rows = []
    for candidate, count in zip(candidates, points, strict=True):
        if count >= FEWEST_POINTS:
            first, second = sorted((candidate.query, candidate.other), key=names.__getitem__)
            pair = (names[first], names[second], lesions[first], lesions[second])
            rows.append((*pair, count, candidate.mirrored))
    pairs = pd.DataFrame(rows, columns=list(COLUMNS))
    # A pair that matches both as it is and mirrored is kept once, as it matches best.
    best = pairs.sort_values(["matching_points", "image_a"], ascending=[False, True], kind="stable")
    return best.drop_duplicates(["image_a", "image_b"]).reset_index(drop=True)
