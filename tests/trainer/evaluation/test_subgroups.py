import numpy as np
import pandas as pd
import pytest

from lentigo_contract.labels import index_of
from lentigo_trainer.evaluation.subgroups import Subgroups, subgroups
from lentigo_trainer.metrics.bootstrap import Resampling
from tests.trainer.metrics.made_up_answers import made_up_answers

N = 120


@pytest.fixture(scope="module")
def found() -> Subgroups:
    truth, probabilities, lesions = made_up_answers(2, n=N)
    people = pd.DataFrame(
        {
            "lesion_id": lesions,
            "sex": ["female"] * 60 + ["male"] * 51 + [""] * 9,
            "age": [35.0, 85.0, np.nan, 0.0] * 30,
            "localization": ["back"] * N,
            "dx_type": ["histo"] * N,
        }
    )
    return subgroups(people, truth, probabilities, Resampling(lesions, 0, 50))


def test_every_image_is_in_one_subgroup_of_each_attribute(found: Subgroups) -> None:
    assert list(found) == ["sex", "age", "site", "confirmation"]
    for parts in found.values():
        assert sum(part.n for part in parts.values()) == N


def test_subgroups_are_sorted_with_the_unknown_last(found: Subgroups) -> None:
    assert list(found["sex"]) == ["female", "male", "unknown"]
    assert list(found["age"]) == ["00 to 19", "20 to 39", "80 and over", "unknown"]


def test_a_subgroup_of_few_images_has_its_n_and_no_metric(found: Subgroups) -> None:
    few = found["sex"]["unknown"]
    assert few.n == 9
    assert few.accuracy is None
    assert few.reason == "only 9 images; below 10 no figure is given"


def test_a_metric_of_few_images_is_left_out(found: Subgroups) -> None:
    truth, _, _ = made_up_answers(2, n=N)
    melanomas = int((truth[:60] == index_of("mel")).sum())
    assert melanomas < 10
    estimate = found["sex"]["female"].melanoma_sensitivity
    assert estimate is not None
    assert (estimate.value, estimate.n) == (None, melanomas)
    assert estimate.reason == f"only {melanomas} examples; below 10 no figure is given"


def test_a_subgroup_of_all_images_has_its_metrics(found: Subgroups) -> None:
    truth, probabilities, lesions = made_up_answers(2, n=N)
    whole = found["site"]["back"]
    assert whole.accuracy is not None
    assert whole.accuracy.value == pytest.approx((probabilities.argmax(axis=1) == truth).mean())
    assert whole.lesions == np.unique(lesions).size


def test_the_majority_baseline_is_that_of_the_subgroup(
    found: Subgroups,
) -> None:
    truth, _, _ = made_up_answers(2, n=N)
    for part, inside in (("female", slice(60)), ("male", slice(60, 111))):
        estimate = found["sex"][part].majority_baseline
        assert estimate is not None
        assert estimate.value == pytest.approx(np.bincount(truth[inside]).max() / estimate.n)
