"""The self-generating neural network, and the forest that clusters an image's colours.

The network grows with its samples and needs neither a number of neurons nor of rounds (Wen,
Jennings and Mathieson, "Learning a self-generating neural network", IJCNN 1992). Each sample
competes for the nearest neuron, from the root downwards. If the winner is a leaf, it gets two
children: its own former values, and the sample; otherwise the sample becomes one more child. Every
neuron on the way up to the root then moves to the mean of the samples below it.

Xie and Bovik ("Automatic segmentation of dermoscopy images using self-generating neural networks
seeded by genetic algorithm", Pattern Recognition 46:1012-1019, 2013) grow a forest: chosen samples
are the first neurons of as many trees, and each tree is a cluster. A genetic algorithm chooses the
seeds, because the result depends on them and on the order of the samples, and the SD validity index
(Halkidi, Vazirgiannis and Batistakis, "Quality scheme assessment in the clustering process", PKDD
2000) chooses how many trees there are. No library has this network.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float64]
"""Points, [n, dimensions]."""

Weights = npt.NDArray[np.float64]
"""How often each sample occurs, [n]."""

Numbers = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Forest:
    """Neurons in trees.

    Attributes:
        values: of each neuron, [m, dimensions]; of an inner neuron the mean of its samples.
        parent: of each neuron, its number or -1 for a root, [m].
        tree: number of each neuron's tree, [m].
        sample_tree: number of each sample's tree, [n].
    """

    values: Samples
    parent: Numbers
    tree: Numbers
    sample_tree: Numbers


def grow_forest(samples: Samples, weights: Weights, seeds: Numbers) -> Forest:
    """Grow a tree from each seed, with all other samples, the most frequent first.

    A sample competes for the nearest root, and then goes down as long as a child is nearer than
    the neuron itself.

    Args:
        samples: the points, finite.
        weights: how often each occurs, above 0.
        seeds: the samples that the trees start from, all different.
    """
    count, dimensions = samples.shape
    # Each sample adds a neuron, and one more where it meets a leaf.
    values = np.empty((2 * count, dimensions))
    mass = np.zeros(2 * count)
    parent = np.full(2 * count, -1, np.intp)
    tree = np.zeros(2 * count, np.intp)
    children: list[list[int]] = [[] for _ in seeds]
    sample_tree = np.zeros(count, np.intp)
    roots = list(range(len(seeds)))
    values[roots], mass[roots] = samples[seeds], weights[seeds]
    tree[roots] = sample_tree[seeds] = roots
    others = np.argsort(-weights, kind="stable")
    for index in others[~np.isin(others, seeds)]:
        winner = _winner(values, children, roots, samples[index])
        if not children[winner]:
            _add(values, mass, parent, tree, children, winner, values[winner], mass[winner])
        _add(values, mass, parent, tree, children, winner, samples[index], weights[index])
        sample_tree[index] = tree[winner]
        while winner >= 0:
            mass[winner] += weights[index]
            values[winner] += (samples[index] - values[winner]) * (weights[index] / mass[winner])
            winner = int(parent[winner])
    made = len(children)
    return Forest(values[:made], parent[:made], tree[:made], sample_tree)


def _winner(values: Samples, children: list[list[int]], roots: list[int], sample: Samples) -> int:
    """Return the neuron that wins a sample: the nearest on the way down from the nearest root."""
    winner, nearest = _nearest(values, roots, sample)
    while children[winner]:
        child, distance = _nearest(values, children[winner], sample)
        if distance >= nearest:
            break
        winner, nearest = child, distance
    return winner


def _nearest(values: Samples, among: list[int], sample: Samples) -> tuple[int, float]:
    away = values[among] - sample
    distances = (away * away).sum(axis=1)
    place = int(distances.argmin())
    return among[place], float(distances[place])


def _add(
    values: Samples,
    mass: Weights,
    parent: Numbers,
    tree: Numbers,
    children: list[list[int]],
    winner: int,
    value: Samples,
    weight: float,
) -> None:
    number = len(children)
    values[number], mass[number] = value, weight
    parent[number], tree[number] = winner, tree[winner]
    children[winner].append(number)
    children.append([])


def scatter(
    samples: Samples, weights: Weights, clusters: Numbers, count: int
) -> tuple[float, Samples]:
    """Return the variance within clusters as a share of that of all samples, and the means.

    Halkidi et al. average the clusters' variances; here each counts by its samples, because a
    cluster of a few extreme pixels has no variance and would make any clustering look good.

    Returns:
        Infinity where a cluster has no sample, or all samples are the same.
    """
    members = np.zeros((count, len(samples)))
    members[clusters, np.arange(len(samples))] = weights
    mass = members.sum(axis=1)
    middle = weights @ samples / weights.sum()
    whole = weights @ (samples - middle) ** 2
    if (mass == 0).any() or not whole.any():
        return np.inf, np.full((count, samples.shape[1]), np.inf)
    means = members @ samples / mass[:, None]
    spreads = members @ samples**2 - mass[:, None] * means**2
    return float(np.linalg.norm(spreads, axis=1).sum() / np.linalg.norm(whole)), means


def separation(means: Samples) -> float:
    """Return the SD index's second part: small where the clusters' means are far and even."""
    if len(means) < 2 or not np.isfinite(means).all():
        return np.inf
    apart = np.linalg.norm(means[:, None] - means[None], axis=2)
    others = apart[~np.eye(len(means), dtype=np.bool_)]
    if others.min() == 0:
        return np.inf
    return float(others.max() / others.min() * (1 / apart.sum(axis=1)).sum())
