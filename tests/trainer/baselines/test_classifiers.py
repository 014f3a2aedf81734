from typing import Literal

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from lentigo_trainer.baselines.classifiers.base import Fit, log_loss
from lentigo_trainer.baselines.classifiers.ensemble import fit_ensemble, fit_one_kind
from lentigo_trainer.baselines.classifiers.fuzzy import fit_fuzzy, gradients
from lentigo_trainer.baselines.classifiers.genetic import fit_genetic

FITS: tuple[Fit, ...] = (fit_fuzzy, fit_ensemble, fit_genetic)


def examples(count: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return features that tell the classes apart, though not by a plane."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    angles = 2 * np.pi * labels / classes + rng.normal(0, 0.35, count)
    circle = np.c_[np.cos(angles), np.sin(angles)] * rng.uniform(1, 2, (count, 1))
    return np.hstack([circle, rng.normal(0, 1, (count, 4))]), labels.astype(np.int64)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("classes", [2, 7])
def test_a_classifier_learns(fit: Fit, classes: int) -> None:
    values, labels = examples(420, classes)
    fresh, truth = examples(210, classes, seed=1)
    answers = fit(values, labels, classes, 0).probabilities(fresh)
    assert answers.shape == (210, classes)
    np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-6)
    assert (answers.argmax(axis=1) == truth).mean() > (0.6 if classes == 7 else 0.8)
    if classes == 2:
        assert roc_auc_score(truth, answers[:, 1]) > 0.9


@pytest.mark.parametrize("fit", FITS)
def test_the_same_seed_gives_the_same_classifier(fit: Fit) -> None:
    values, labels = examples(60, 3)
    one, two = (fit(values, labels, 3, 4).probabilities(values) for _ in range(2))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("fit", [fit_ensemble, fit_genetic])
def test_a_class_without_an_example_is_never_named(fit: Fit) -> None:
    values, labels = examples(60, 3)
    answers = fit(values, labels, 5, 0).probabilities(values)
    assert answers.shape == (60, 5)
    assert answers[:, 3:].max() < 0.2


@pytest.mark.parametrize("fit", FITS)
def test_features_without_information_are_no_error(fit: Fit) -> None:
    values = np.random.default_rng(0).normal(size=(40, 3))
    values[:, 1:] = 5
    answers = fit(values, np.arange(40) % 2, 2, 0).probabilities(values)
    assert np.isfinite(answers).all()


def test_the_fuzzy_gradient_is_that_of_its_loss() -> None:
    rng = np.random.default_rng(0)
    values, labels = examples(20, 3)
    parameters = {
        "centres": rng.normal(size=(4, 6)),
        "widths": rng.normal(0, 0.3, (4, 6)),
        "weights": rng.normal(size=(4, 6, 3)),
        "biases": rng.normal(size=(4, 3)),
    }
    targets = np.eye(3)[labels]

    def loss(changed: dict[str, np.ndarray]) -> float:
        from lentigo_trainer.baselines.classifiers.fuzzy import FuzzyNetwork

        decay = 0.5e-3 * (changed["weights"] ** 2).sum()
        return log_loss(FuzzyNetwork(changed).probabilities(values), labels) + float(decay)

    found = gradients(parameters, values, targets)
    for name, value in parameters.items():
        for place in list(np.ndindex(value.shape))[::5]:
            step = np.zeros_like(value)
            step[place] = 1e-5
            up, down = (loss(parameters | {name: value + sign * step}) for sign in (1, -1))
            assert found[name][place] == pytest.approx((up - down) / 2e-5, abs=1e-6)


def test_the_genetic_search_finds_a_better_start() -> None:
    values, labels = examples(200, 2)
    network = fit_genetic(values, labels, 2, 0)
    assert network.start_loss < 0.8 * network.first_loss


def test_a_search_that_finds_nothing_still_gives_a_start() -> None:
    values, labels = examples(200, 2)
    network = fit_genetic(values, labels, 2, 0, generations=0)
    assert network.start_loss == network.first_loss
    assert roc_auc_score(labels, network.probabilities(values)[:, 1]) > 0.9


def test_networks_of_both_kinds_answer() -> None:
    values, labels = examples(200, 2)
    ensemble = fit_ensemble(values, labels, 2, 0)
    assert len(ensemble.back_propagation) == len(ensemble.fuzzy) == 5
    assert 0 <= ensemble.share <= 1


@pytest.mark.parametrize("kind", ["back-propagation", "fuzzy"])
def test_one_kind_of_network_may_answer_alone(kind: Literal["back-propagation", "fuzzy"]) -> None:
    values, labels = examples(200, 2)
    whole = fit_ensemble(values, labels, 2, 0)
    networks = whole.fuzzy if kind == "fuzzy" else whole.back_propagation
    projected = whole.components.transform(values)
    expected = np.mean([network.probabilities(projected) for network in networks], axis=0)
    alone = fit_one_kind(values, labels, 2, 0, kind)
    np.testing.assert_allclose(alone.probabilities(values), expected)
