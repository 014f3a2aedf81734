import json

import numpy as np
import pytest

from lentigo_contract.labels import CODES, index_of
from lentigo_trainer.errors import MetricError
from lentigo_trainer.evaluation.summary import Evaluation, evaluate
from tests.trainer.metrics.made_up_answers import certain, made_up_answers


def test_every_value_lies_in_its_interval_and_has_its_n() -> None:
    truth, probabilities, lesions = made_up_answers(1, n=600)
    result = evaluate(truth, probabilities, lesions, seed=1)
    estimates = [
        result.accuracy,
        result.majority_baseline,
        result.balanced_accuracy,
        result.malignant_auc,
        result.macro_auc,
        result.brier,
        result.log_loss,
        *(result.classes[code].recall for code in CODES),
        *(result.classes[code].auc for code in CODES),
    ]
    for estimate in estimates:
        assert estimate.value is not None
        assert estimate.low is not None
        assert estimate.high is not None
        assert estimate.low <= estimate.value <= estimate.high
    assert result.accuracy.n == 600
    assert result.melanoma_sensitivity.n == (truth == index_of("mel")).sum()
    assert result.melanoma_sensitivity == result.classes["mel"].recall
    assert result.lesions == np.unique(lesions).size
    assert result.majority == "nv"


def test_an_undefined_metric_is_null_with_a_reason() -> None:
    truth = np.array([index_of("nv")] * 9 + [index_of("mel")])
    result = evaluate(truth, certain(*truth), np.arange(10), seed=1)
    missing = result.to_json()["classes"]["df"]["recall"]  # type: ignore[index,call-overload]
    assert missing == {
        "value": None,
        "low": None,
        "high": None,
        "n": 0,
        "reason": "There is no example of df, so its recall is undefined.",
    }
    assert result.averaged_over == ("mel", "nv")
    assert result.balanced_accuracy.value == 1
    # One melanoma is missing from every third resample.
    assert result.melanoma_sensitivity.low is None
    assert "resamples" in str(result.melanoma_sensitivity.reason)


def test_an_evaluation_is_unchanged_after_writing_and_reading() -> None:
    truth, probabilities, lesions = made_up_answers(2, n=80)
    result = evaluate(truth, probabilities, lesions, seed=3, resamples=50)
    text = json.dumps(result.to_json(), allow_nan=False)
    assert Evaluation.from_json(json.loads(text)) == result
    assert set(json.loads(text)["accuracy"]) == {"value", "low", "high", "n"}


def test_other_values_are_not_an_evaluation() -> None:
    with pytest.raises(MetricError, match="not the metrics"):
        Evaluation.from_json({"accuracy": 0.9})


def test_every_example_needs_a_lesion() -> None:
    with pytest.raises(MetricError, match="lesions for 2 examples"):
        evaluate(np.array([0, 1]), certain(0, 1), np.array(["a"]), seed=1)


def test_metrics_without_known_duplicates_are_those_of_the_other_examples() -> None:
    truth, probabilities, lesions = made_up_answers(4, n=120)
    duplicated = np.arange(120) % 10 == 0
    result = evaluate(truth, probabilities, lesions, 3, 50, duplicated)
    alone = evaluate(truth[~duplicated], probabilities[~duplicated], lesions[~duplicated], 3, 50)
    assert result.without_known_duplicates == alone
    assert result.examples == 120
    assert Evaluation.from_json(json.loads(json.dumps(result.to_json()))) == result


def test_without_any_duplicate_there_is_no_second_evaluation() -> None:
    truth, probabilities, lesions = made_up_answers(4, n=60)
    result = evaluate(truth, probabilities, lesions, 3, 50, np.zeros(60, np.bool_))
    assert result.without_known_duplicates is None
    assert "without_known_duplicates" not in result.to_json()
