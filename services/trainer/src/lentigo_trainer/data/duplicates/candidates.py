"""Which pairs of images are worth matching: neighbours by an embedding of their local features.

The embedding is VLAD (Jegou et al. 2010): each feature is assigned to the nearest of 64 visual
words, and its residuals are added up by word. It has no trained network, does not change when an
image is turned, and its mirror image is embedded from the mirrored features.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from sklearn.cluster import MiniBatchKMeans

from lentigo_trainer.data.duplicates.local_features import SIZE, LocalFeatures

WORDS: Final = 64

_SAMPLE: Final = 100_000

_SEED: Final = 0

# Images whose similarities to all others are computed at a time.
_BLOCK: Final = 500

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


def choose_candidates(
    features: Sequence[LocalFeatures],
    lesions: npt.NDArray[np.str_],
    neighbours: int,
    mirrored_neighbours: int,
) -> list[Candidate]:
    """Return the pairs of images of different lesions that resemble each other most.

    Args:
        features: of each image, [n].
        lesions: of each image, [n].
        neighbours: how many images of other lesions to take for each image.
        mirrored_neighbours: how many for its mirror image.

    Returns:
        Each pair once, the lower row number first, sorted.
    """
    words = visual_words(features)
    embeddings = np.stack([embed(image, words) for image in features])
    mirrored = np.stack([embed(image.mirrored(), words) for image in features])
    _, lesion_numbers = np.unique(lesions, return_inverse=True)
    return sorted(
        {
            Candidate(min(pair), max(pair), is_mirrored)
            for queries, count, is_mirrored in (
                (embeddings, neighbours, False),
                (mirrored, mirrored_neighbours, True),
            )
            for pair in _nearest(queries, embeddings, lesion_numbers, count)
        }
    )


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


def _nearest(
    queries: Embedding, embeddings: Embedding, lesions: npt.NDArray[np.intp], count: int
) -> Iterator[tuple[int, int]]:
    for start in range(0, len(queries), _BLOCK):
        similarities = queries[start : start + _BLOCK] @ embeddings.T
        similarities[lesions[start : start + _BLOCK, None] == lesions] = -np.inf
        order = np.argsort(-similarities, axis=1, kind="stable")[:, :count]
        for row, others in enumerate(order, start):
            for other in others:
                if lesions[other] != lesions[row]:
                    yield row, int(other)
