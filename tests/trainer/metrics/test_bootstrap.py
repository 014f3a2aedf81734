import numpy as np
import pytest
import sklearn.metrics

from lentigo_contract.labels import CODES
from lentigo_trainer.errors import MetricError
from lentigo_trainer.metrics.arrays import FloatArray, is_malignant, malignancy
from lentigo_trainer.metrics.bootstrap import (
    bootstrap,
    mean,
    percentile_interval,
    resampled_weights,
)
from lentigo_trainer.metrics.classification import ClassificationMetrics, present_codes
from lentigo_trainer.metrics.reliability import reliability_diagram
from tests.trainer.metrics.made_up_answers import made_up_answers


def test_unit_weights_give_the_metrics_of_scikit_learn() -> None:
    truth, probabilities, _ = made_up_answers(5)
    probabilities = np.round(probabilities, 2)  # ties between scores
    probabilities[:, 0] += 1 - probabilities.sum(axis=1)
    probabilities = np.abs(probabilities) / np.abs(probabilities).sum(axis=1, keepdims=True)
    metrics = ClassificationMetrics(truth, probabilities)
    found = {
        name: values[0] for name, values in metrics.statistics(np.ones((1, truth.size))).items()
    }
    predicted = probabilities.argmax(axis=1)
    assert found["accuracy"] == pytest.approx(sklearn.metrics.accuracy_score(truth, predicted))
    assert found["majority_baseline"] == pytest.approx(np.bincount(truth).max() / truth.size)
    assert found["balanced_accuracy"] == pytest.approx(
        sklearn.metrics.balanced_accuracy_score(truth, predicted)
    )
    assert found["malignant_auc"] == pytest.approx(
        sklearn.metrics.roc_auc_score(is_malignant(truth), malignancy(probabilities))
    )
    assert found["macro_auc"] == pytest.approx(
        sklearn.metrics.roc_auc_score(truth, probabilities, multi_class="ovr", average="macro")
    )
    assert found["brier"] == pytest.approx(
        np.square(probabilities - np.eye(7)[truth]).sum(axis=1).mean()
    )
    assert found["log_loss"] == pytest.approx(
        sklearn.metrics.log_loss(truth, probabilities, labels=np.arange(7))
    )
    bars = [bar for bar in reliability_diagram(truth, probabilities) if bar.n]
    assert found["expected_calibration_error"] == pytest.approx(
        sum(bar.n * abs((bar.confidence or 0) - (bar.accuracy or 0)) for bar in bars) / truth.size
    )
    assert len(present_codes(truth)) == 7
    for index, code in enumerate(CODES):
        is_it, named = truth == index, predicted == index
        assert found[f"recall {code}"] == pytest.approx(sklearn.metrics.recall_score(is_it, named))
        assert found[f"precision {code}"] == pytest.approx(
            sklearn.metrics.precision_score(is_it, named)
        )
        assert found[f"auc {code}"] == pytest.approx(
            sklearn.metrics.roc_auc_score(is_it, probabilities[:, index])
        )


def test_weights_are_the_same_as_repeating_examples() -> None:
    truth, probabilities, _ = made_up_answers(6, n=120)
    times = np.random.default_rng(0).integers(0, 3, size=120)
    found = ClassificationMetrics(truth, probabilities).statistics(times[None].astype(float))
    repeated = ClassificationMetrics(
        np.repeat(truth, times), np.repeat(probabilities, times, axis=0)
    )
    for name in ("malignant_auc", "log_loss", "expected_calibration_error"):
        assert found[name][0] == pytest.approx(repeated.value(name))


def test_a_lesion_is_drawn_whole() -> None:
    groups = np.array(["a", "b", "a", "c"])
    (weights,) = resampled_weights(groups, 50, np.random.default_rng(1))
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, [0, 1, 3]].sum(axis=1) == 3).all()


def test_the_same_seed_gives_the_same_intervals_however_memory_is_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    truth, probabilities, lesions = made_up_answers(7, n=100)
    statistics = ClassificationMetrics(truth, probabilities).statistics
    first = bootstrap(statistics, lesions, seed=1, resamples=200)
    monkeypatch.setattr("lentigo_trainer.metrics.bootstrap.WEIGHTS_AT_ONCE", 1_000)
    assert bootstrap(statistics, lesions, seed=1, resamples=200) == first
    assert bootstrap(statistics, lesions, seed=2, resamples=200) != first


def test_intervals_cover_the_true_share_about_as_often_as_they_say() -> None:
    generator = np.random.default_rng(9)
    covered = 0
    for seed in range(200):
        right = generator.random(150) < 0.8
        interval = bootstrap(
            lambda weights, right=right: {"share": mean(right, weights)},  # type: ignore[misc]
            np.arange(150),
            seed,
            resamples=300,
        )["share"]
        assert interval.low is not None
        assert interval.high is not None
        covered += interval.low <= 0.8 <= interval.high
    assert 0.89 <= covered / 200 <= 0.99


def test_photographs_of_few_lesions_make_wider_intervals() -> None:
    truth, probabilities, _ = made_up_answers(8, n=300)
    right = probabilities.argmax(axis=1) == truth
    right = np.sort(right)  # neighbours, the photographs of one lesion, are alike

    def statistics(weights: FloatArray) -> dict[str, FloatArray]:
        return {"share": mean(right, weights)}

    alone = bootstrap(statistics, np.arange(300), seed=0)["share"]
    together = bootstrap(statistics, np.arange(300) // 10, seed=0)["share"]
    assert alone.low is not None
    assert together.low is not None
    assert together.low < alone.low


def test_no_interval_where_too_many_resamples_define_nothing() -> None:
    interval = percentile_interval(np.array([0.5] * 90 + [np.nan] * 10))
    assert interval.low is None
    assert interval.high is None
    assert "undefined in 10 of 100 resamples" in str(interval.reason)


def test_no_examples_or_no_resamples_is_an_error() -> None:
    with pytest.raises(MetricError):
        bootstrap(lambda _weights: {}, np.array([]), seed=0)
    with pytest.raises(MetricError):
        bootstrap(lambda _weights: {}, np.array([1]), seed=0, resamples=0)
