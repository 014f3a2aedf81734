import numpy as np
import pytest
import sklearn.metrics

from lentigo_contract.labels import CODES, index_of
from lentigo_trainer.evaluation.per_diagnosis import diagnosis_metrics, melanoma_specificities
from lentigo_trainer.metrics.bootstrap import Resampling
from tests.trainer.metrics.made_up_answers import certain, made_up_answers


@pytest.mark.parametrize("code", CODES)
def test_metrics_agree_with_scikit_learn(code: str) -> None:
    truth, probabilities, lesions = made_up_answers(3)
    found = diagnosis_metrics(code, truth, probabilities, Resampling(lesions, 0, 50))
    is_it, score = truth == index_of(code), probabilities[:, index_of(code)]
    predicted = probabilities.argmax(axis=1) == index_of(code)
    values = {name: estimate["value"] for name, estimate in found.model_dump().items()}
    assert values == pytest.approx(
        {
            "sensitivity": sklearn.metrics.recall_score(is_it, predicted),
            "specificity": sklearn.metrics.recall_score(~is_it, ~predicted),
            "ppv": sklearn.metrics.precision_score(is_it, predicted),
            "npv": sklearn.metrics.precision_score(~is_it, ~predicted),
            "f1": sklearn.metrics.f1_score(is_it, predicted),
            "auc": sklearn.metrics.roc_auc_score(is_it, score),
            "average_precision": sklearn.metrics.average_precision_score(is_it, score),
        }
    )


def test_every_value_lies_in_its_interval_and_has_its_n() -> None:
    truth, probabilities, lesions = made_up_answers(3, n=600)
    found = diagnosis_metrics("mel", truth, probabilities, Resampling(lesions, 0, 200))
    for estimate in (found.sensitivity, found.specificity, found.ppv, found.npv, found.f1):
        assert estimate.value is not None
        assert estimate.low is not None
        assert estimate.high is not None
        assert estimate.low <= estimate.value <= estimate.high
    melanomas = int((truth == index_of("mel")).sum())
    assert (found.sensitivity.n, found.specificity.n) == (melanomas, 600 - melanomas)
    assert found.ppv.n + found.npv.n == 600


def test_a_class_without_an_image_has_no_sensitivity_but_a_specificity() -> None:
    truth = np.array([index_of("nv")] * 9 + [index_of("mel")])
    found = diagnosis_metrics("df", truth, certain(*truth), Resampling(np.arange(10), 0, 50))
    assert found.sensitivity.value is None
    assert found.sensitivity.reason == "There is no image of df."
    assert found.ppv.reason == "No answer names df."
    assert found.specificity.value == 1.0
    assert found.f1.value is None


def test_melanoma_has_a_specificity_at_each_sensitivity() -> None:
    truth, probabilities, lesions = made_up_answers(4, skill=4.0)
    found = melanoma_specificities(truth, probabilities, Resampling(lesions, 0, 50))
    assert list(found) == ["0.90", "0.95"]
    ninety, ninety_five = (estimate.value for estimate in found.values())
    assert ninety is not None
    assert ninety_five is not None
    assert 0.5 < ninety_five <= ninety <= 1


def test_without_melanoma_there_is_no_specificity_for_it() -> None:
    truth = np.array([index_of("nv")] * 5)
    found = melanoma_specificities(truth, certain(*truth), Resampling(np.arange(5), 0, 50))
    assert found["0.95"].value is None
    assert found["0.95"].reason == "There is no image of melanoma."
