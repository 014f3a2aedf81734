"""Which pairs of images are worth matching: neighbours by an embedding of their local features.

Most duplicates are of the same diagnosis, sex and age, so more neighbours are taken among those.

The embedding is VLAD (Jegou et al. 2010): each feature is assigned to the nearest of 64 visual
words, and its residuals are added up by word. It has no trained network, does not change when an
image is turned, and its mirror image is embedded from the mirrored features.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.cluster import MiniBatchKMeans

from lentigo_trainer.data.duplicates.local_features import SIZE, LocalFeatures

WORDS: Final = 64

_SAMPLE: Final = 100_000

_SEED: Final = 0

# Images whose similarities to all others are computed at a time.
_BLOCK: Final = 500

# Years by which ages may differ: HAM10000 rounds them to five.
_SAME_AGE: Final = 5

_UNKNOWN_AGE: Final = -100

Embedding = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, order=True)
class Candidate:
    """Two images to match, by their row numbers.

    Attributes:
        query: the first image.
        other: the second image.
        mirrored: whether the first is to be mirrored.
    """

    query: int
    other: int
    mirrored: bool


@dataclass(frozen=True, slots=True)
class Neighbours:
    """How many images of other lesions to take for each image.

    Attributes:
        nearest: of all images.
        mirrored: of all images, for its mirror image.
        alike: of those with the same diagnosis and sex, and an age within five years.
    """

    nearest: int
    mirrored: int
    alike: int


def choose_candidates(
    features: Sequence[LocalFeatures], table: pd.DataFrame, count: Neighbours
) -> list[Candidate]:
    """Return the pairs of images of different lesions that resemble each other most.

    Args:
        features: of each image, [n].
        table: the metadata, n rows in the same order.
        count: how many neighbours to take.

    Returns:
        Each pair once, the lower row number first, sorted.
    """
    words = visual_words(features)
    embeddings = np.stack([embed(image, words) for image in features])
    mirrored = np.stack([embed(image.mirrored(), words) for image in features])
    people = _People.of(table)
    found: set[Candidate] = set()
    for start in range(0, len(features), _BLOCK):
        rows = slice(start, start + _BLOCK)
        others, alike = people.others(rows), people.alike(rows)
        straight = embeddings[rows] @ embeddings.T
        turned_over = mirrored[rows] @ embeddings.T
        for similarities, allowed, wanted, is_mirrored in (
            (straight, others, count.nearest, False),
            (straight, others & alike, count.alike, False),
            (turned_over, others, count.mirrored, True),
        ):
            for row, other in _highest(similarities, allowed, wanted):
                pair = (start + row, other)
                found.add(Candidate(min(pair), max(pair), is_mirrored))
    return sorted(found)


def visual_words(features: Sequence[LocalFeatures]) -> Embedding:
    """Return the centres of clusters of features, float32 [64, 128], or fewer if there are few."""
    descriptors = np.concatenate([image.descriptors for image in features])
    draw = np.random.default_rng(_SEED)
    sample = draw.permutation(len(descriptors))[:_SAMPLE]
    clusters = MiniBatchKMeans(
        min(WORDS, len(sample)), random_state=_SEED, batch_size=4096, n_init=1, max_iter=30
    )
    centres: Embedding = clusters.fit(_root(descriptors[np.sort(sample)])).cluster_centers_
    return centres.astype(np.float32)


def embed(features: LocalFeatures, words: Embedding) -> Embedding:
    """Return the embedding of an image, float32 [words * 128], of length 1; 0 without features.

    Args:
        features: of the image.
        words: the visual words, [words, 128].
    """
    descriptors = _root(features.descriptors)
    nearest = (descriptors @ words.T - (words**2).sum(1) / 2).argmax(1)
    belongs = (nearest == np.arange(len(words))[:, None]).astype(np.float32)
    sums = belongs @ descriptors - belongs.sum(1, keepdims=True) * words
    # Every word counts the same, however many features it has (Arandjelovic and Zisserman 2013).
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    sums = sums / np.maximum(lengths, 1e-9)
    used = max(int((lengths > 0).sum()), 1)
    whole: Embedding = (sums / np.sqrt(used)).ravel().astype(np.float32)
    return whole


def _root(descriptors: npt.NDArray[np.uint8]) -> Embedding:
    """RootSIFT (Arandjelovic and Zisserman 2012): compares features by their Hellinger distance."""
    values = descriptors.astype(np.float32).reshape(-1, SIZE)
    rooted: Embedding = np.sqrt(values / np.maximum(values.sum(1, keepdims=True), 1))
    return rooted


@dataclass(frozen=True, slots=True)
class _People:
    """What the metadata tell of each image, as numbers, each [n]."""

    lesions: npt.NDArray[np.intp]
    kinds: npt.NDArray[np.intp]
    ages: npt.NDArray[np.float64]

    @classmethod
    def of(cls, table: pd.DataFrame) -> "_People":
        lesions, _ = pd.factorize(table["lesion_id"])
        kinds, _ = pd.factorize(table["dx"].str.cat(table["sex"], sep=" "))
        # Unknown ages are alike, and no known age is near them.
        ages = table["age"].fillna(_UNKNOWN_AGE).to_numpy(np.float64)
        return cls(lesions, kinds, ages)

    def others(self, rows: slice) -> npt.NDArray[np.bool_]:
        """Whether each of all images is of another lesion than each of some, [some, all]."""
        different: npt.NDArray[np.bool_] = self.lesions[rows, None] != self.lesions
        return different

    def alike(self, rows: slice) -> npt.NDArray[np.bool_]:
        """Whether each of all images is of the same kind of patient as each of some."""
        near = np.abs(self.ages[rows, None] - self.ages) <= _SAME_AGE
        alike: npt.NDArray[np.bool_] = near & (self.kinds[rows, None] == self.kinds)
        return alike


def _highest(
    similarities: Embedding, allowed: npt.NDArray[np.bool_], count: int
) -> Iterator[tuple[int, int]]:
    """Yield row and column of the highest similarities of each row that are allowed."""
    ranked = np.where(allowed, similarities, -np.inf)
    order = np.argsort(-ranked, axis=1, kind="stable")[:, :count]
    for row, others in enumerate(order):
        for other in others[allowed[row, others]]:
            yield row, int(other)
