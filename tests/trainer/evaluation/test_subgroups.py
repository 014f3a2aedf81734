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


def test_every_image_is_in_one_part_of_each_way(found: Subgroups) -> None:
    assert list(found) == ["sex", "age", "site", "confirmation"]
    for parts in found.values():
        assert sum(part.n for part in parts.values()) == N


def test_parts_are_named_and_what_is_unknown_comes_last(found: Subgroups) -> None:
    assert list(found["sex"]) == ["female", "male", "unknown"]
    assert list(found["age"]) == ["00 to 19", "20 to 39", "80 and over", "unknown"]


def test_a_part_of_few_images_has_its_n_and_no_figure(found: Subgroups) -> None:
    few = found["sex"]["unknown"]
    assert few.n == 9
    assert few.accuracy is None
    assert few.reason == "only 9 images; below 10 no figure is given"


def test_a_figure_that_rests_on_few_images_is_left_out(found: Subgroups) -> None:
    truth, _, _ = made_up_answers(2, n=N)
    melanomas = int((truth[:60] == index_of("mel")).sum())
    assert melanomas < 10
    figure = found["sex"]["female"].melanoma_sensitivity
    assert figure is not None
    assert (figure.value, figure.n) == (None, melanomas)
    assert figure.reason == f"only {melanomas} examples; below 10 no figure is given"


def test_a_part_that_is_the_whole_has_its_figures(found: Subgroups) -> None:
    truth, probabilities, lesions = made_up_answers(2, n=N)
    whole = found["site"]["back"]
    assert whole.accuracy is not None
    assert whole.accuracy.value == pytest.approx((probabilities.argmax(axis=1) == truth).mean())
    assert whole.lesions == np.unique(lesions).size


def test_accuracy_stands_beside_what_the_parts_own_most_frequent_answer_has(
    found: Subgroups,
) -> None:
    truth, _, _ = made_up_answers(2, n=N)
    for part, inside in (("female", slice(60)), ("male", slice(60, 111))):
        figure = found["sex"][part].majority_baseline
        assert figure is not None
        assert figure.value == pytest.approx(np.bincount(truth[inside]).max() / figure.n)
