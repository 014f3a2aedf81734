import random

import numpy as np
import pytest

from lentigo_trainer.segmentation.seeds import best_forest, evolve_seeds
from lentigo_trainer.segmentation.self_generating import grow_forest, scatter, separation


def clouds(count: int, each: int = 30, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return points in clouds far from each other, and the number of each one's cloud."""
    rng = np.random.default_rng(seed)
    centres = np.array([(0, 0, 0), (4, 0, 0), (0, 5, 0), (0, 0, 6)])[:count]
    points = np.concatenate([centre + rng.normal(0, 0.3, (each, 3)) for centre in centres])
    return points, np.repeat(np.arange(count), each)


def test_each_tree_is_a_cluster() -> None:
    points, truth = clouds(3)
    forest = grow_forest(points, np.ones(len(points)), np.array([0, 30, 60]))
    np.testing.assert_array_equal(forest.sample_tree, truth)


def test_a_root_is_the_mean_of_its_samples() -> None:
    points, _ = clouds(2)
    weights = np.random.default_rng(1).uniform(1, 5, len(points))
    forest = grow_forest(points, weights, np.array([0, 30]))
    for tree in range(2):
        own = forest.sample_tree == tree
        mean = np.average(points[own], axis=0, weights=weights[own])
        np.testing.assert_allclose(forest.values[tree], mean)


def test_every_sample_is_a_leaf_and_every_neuron_hangs_in_its_tree() -> None:
    points, _ = clouds(2)
    forest = grow_forest(points, np.ones(len(points)), np.array([0, 30]))
    leaves = np.setdiff1d(np.arange(len(forest.values)), forest.parent)
    assert len(leaves) == len(points)
    below = forest.parent >= 0
    np.testing.assert_array_equal(forest.tree[below], forest.tree[forest.parent[below]])


def test_one_sample_is_a_tree_of_one_neuron() -> None:
    forest = grow_forest(np.zeros((1, 3)), np.ones(1), np.array([0]))
    assert forest.values.shape == (1, 3)


def test_scatter_and_separation_follow_their_definitions() -> None:
    points, truth = clouds(3)
    spread, means = scatter(points, np.ones(len(points)), truth, 3)
    inside = [points[truth == each].var(axis=0) for each in range(3)]
    expected = np.mean([np.linalg.norm(each) for each in inside])
    assert spread == pytest.approx(expected / np.linalg.norm(points.var(axis=0)))
    apart = np.linalg.norm(means[:, None] - means[None], axis=2)
    others = apart[apart > 0]
    ratio = others.max() / others.min()
    assert separation(means) == pytest.approx(ratio * (1 / apart.sum(axis=1)).sum())


def test_an_empty_cluster_or_twins_have_no_index() -> None:
    points, truth = clouds(2)
    assert scatter(points, np.ones(len(points)), truth, 3)[0] == np.inf
    assert separation(np.zeros((2, 3))) == np.inf
    assert separation(np.zeros((1, 3))) == np.inf


@pytest.mark.parametrize("count", [2, 3, 4])
def test_the_search_finds_a_seed_in_each_cloud(count: int) -> None:
    points, truth = clouds(count)
    seeds = evolve_seeds(points, np.ones(len(points)), count, 0)
    assert sorted(truth[seeds]) == list(range(count))


def test_the_number_of_trees_is_found() -> None:
    points, truth = clouds(3)
    forest = best_forest(points, np.ones(len(points)), (2, 3, 4))
    assert forest is not None
    groups = [set(forest.sample_tree[truth == each]) for each in range(3)]
    assert all(len(group) == 1 for group in groups)


def test_a_search_that_finds_nothing_gives_no_forest() -> None:
    same = np.ones((10, 3))
    assert best_forest(same, np.ones(10), (2, 3)) is None
    assert best_forest(same[:1], np.ones(1), (2, 3)) is None


def test_a_search_among_twins_still_gives_different_seeds() -> None:
    seeds = evolve_seeds(np.ones((6, 3)), np.ones(6), 4, 0)
    assert len(np.unique(seeds)) == 4


def test_the_same_seed_gives_the_same_result_and_leaves_others_alone() -> None:
    points, _ = clouds(3)
    random.seed(5)
    before = random.getstate()
    first = evolve_seeds(points, np.ones(len(points)), 3, 7)
    assert random.getstate() == before
    np.testing.assert_array_equal(first, evolve_seeds(points, np.ones(len(points)), 3, 7))
