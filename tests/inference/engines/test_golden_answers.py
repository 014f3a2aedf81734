"""What the golden answers of a version let pass, and what they notice."""

from dataclasses import replace

import numpy as np
import pytest

from lentigo_contract.errors import EngineError
from lentigo_contract.manifest.engines import EngineName, Golden, GoldenAnswer, golden_images
from lentigo_engines.base import Images, Prediction
from lentigo_engines.golden_answers import check_golden, golden_answer
from tests.models import PlainEngine, expected

SEED = 5
IMAGES = golden_images(SEED, 2)
TRUTH = expected(IMAGES, 1, unlikeness=True)
SURE = Prediction(
    np.array([[0.998, 0.002, 0, 0, 0, 0, 0]] * 2, np.float32),
    TRUTH.activation_map,
    np.array([0.5, 4], np.float32),
)


class Answering(PlainEngine):
    """An engine under any name that answers the golden images as it is told."""

    def __init__(self, name: EngineName, answer: Prediction) -> None:
        super().__init__(seed=1)
        self.name = name
        self.answer = answer

    def predict(self, images: Images) -> Prediction:
        (place,) = (number for number, each in enumerate(IMAGES) if (each == images[0]).all())
        return self.answer.take(np.array([place]))


def changed(prediction: Prediction, by: float) -> Prediction:
    """Move so much from the first diagnosis of every image to the second."""
    probabilities = prediction.probabilities.copy()
    probabilities[:, 0] -= by
    probabilities[:, 1] += by
    return replace(prediction, probabilities=probabilities)


def stretched(prediction: Prediction, by: float) -> Prediction:
    assert prediction.unlikeness is not None
    return replace(prediction, unlikeness=prediction.unlikeness * np.float32(1 + by))


def check(name: EngineName, found: Prediction, answer: GoldenAnswer) -> None:
    check_golden(Answering(name, found), Golden(seed=SEED, answers={name: answer}))


@pytest.mark.parametrize("name", ["savedmodel", "litert", "litert-int8"])
def test_what_was_recorded_passes(name: EngineName) -> None:
    check(name, TRUTH, golden_answer(name, TRUTH))
    check(name, SURE, golden_answer(name, SURE, SURE))


def test_nothing_on_record_of_an_engine_is_nothing_to_compare() -> None:
    answer = golden_answer("savedmodel", TRUTH)
    golden = Golden(seed=SEED, answers={"savedmodel": answer})
    check_golden(Answering("litert", changed(TRUTH, 0.1)), golden)


@pytest.mark.parametrize(
    ("name", "recorded", "found", "reason"),
    [
        ("litert", TRUTH, changed(TRUTH, 5e-4), r"allowed is 0\.0001"),
        ("litert", SURE, changed(SURE, 9e-5), "logarithm"),
        ("litert", SURE, stretched(SURE, 0.02), "unlikeness"),
        ("litert", TRUTH, changed(TRUTH, float("nan")), "golden answer"),
        ("litert", SURE, stretched(SURE, float("nan")), "golden answer"),
        ("litert-int8", SURE, changed(SURE, 3e-3), "golden answer"),
        ("litert-int8", SURE, stretched(SURE, 0.02), "unlikeness"),
    ],
)
def test_what_is_further_off_than_another_machine_is_refused(
    name: EngineName, recorded: Prediction, found: Prediction, reason: str
) -> None:
    with pytest.raises(EngineError, match=reason):
        check(name, found, golden_answer(name, recorded, recorded))


def test_int8_may_be_off_by_twice_what_the_reference_kernels_are() -> None:
    answer = golden_answer("litert-int8", SURE, stretched(changed(SURE, -1e-4), 0.01))
    check("litert-int8", stretched(changed(SURE, 1.9e-4), 0.019), answer)
    for beyond in (changed(SURE, 2.5e-4), stretched(SURE, 0.022)):
        with pytest.raises(EngineError, match="golden answer"):
            check("litert-int8", beyond, answer)


@pytest.mark.parametrize("name", ["litert", "litert-int8"])
def test_no_manifest_allows_an_engine_more_than_the_contract_does(name: EngineName) -> None:
    generous = golden_answer(name, SURE).model_copy(
        update={"tolerance": 1.0, "log_tolerance": 100.0, "unlikeness_tolerance": 100.0}
    )
    for found in (changed(SURE, 0.03), stretched(SURE, 0.2)):
        with pytest.raises(EngineError, match="golden answer"):
            check(name, found, generous)


def test_a_version_of_an_older_release_is_compared_as_far_as_it_was_recorded() -> None:
    """Its int8 may be off by 0.05, and it says nothing of unlikeness."""
    rows = golden_answer("litert-int8", TRUTH).probabilities
    old = GoldenAnswer(probabilities=rows, tolerance=0.05)
    check("litert-int8", stretched(changed(TRUTH, 1e-3), 9.0), old)
    check("litert-int8", replace(TRUTH, unlikeness=None), old)
    with pytest.raises(EngineError, match=r"allowed is 0\.02"):
        check("litert-int8", changed(TRUTH, 0.03), old)


def test_an_engine_without_the_recorded_unlikeness_is_refused() -> None:
    answer = golden_answer("litert", TRUTH)
    with pytest.raises(EngineError, match="gives unlikeness None"):
        check("litert", replace(TRUTH, unlikeness=None), answer)
