import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from lentigo_contract.errors import EngineError
from lentigo_engines.base import Images, Prediction, warm_up
from tests.fakes import made_manifest, made_unlikeness
from tests.models import PlainEngine

MANIFEST = made_manifest()
TELLING = made_manifest(unlikeness=made_unlikeness())


class Altered(PlainEngine):
    def __init__(self, alter: Callable[[Prediction], Prediction]) -> None:
        super().__init__(1, unlikeness=True)
        self.alter = alter

    def predict(self, images: Images) -> Prediction:
        return self.alter(super().predict(images))


def test_a_sound_engine_passes() -> None:
    warm_up(PlainEngine(1), MANIFEST)
    warm_up(PlainEngine(1, unlikeness=True), TELLING)


@pytest.mark.parametrize(
    ("alter", "reason"),
    [
        (lambda p: Prediction(p.probabilities * np.float32("nan"), p.activation_map), "finite"),
        (lambda p: Prediction(p.probabilities, p.activation_map * np.float32("inf")), "finite"),
        (lambda p: Prediction(p.probabilities[:, :6], p.activation_map), "probabilities"),
        (lambda p: Prediction(p.probabilities[:1], p.activation_map), r"\[2, 7\]"),
        (lambda p: Prediction(p.probabilities, p.activation_map[:, :6]), "activation_map"),
        (lambda p: Prediction(p.probabilities.astype(float), p.activation_map), "float64"),
        (lambda p: Prediction(p.probabilities * np.float32(2), p.activation_map), "sum to 1"),
        (lambda p: Prediction(p.probabilities * 4 - np.float32(3 / 7), p.activation_map), "negat"),
    ],
    ids=["nan", "inf map", "classes", "count", "map cells", "dtype", "sum", "negative"],
)
def test_an_engine_with_an_impossible_answer_is_refused(
    alter: Callable[[Prediction], Prediction], reason: str
) -> None:
    with pytest.raises(EngineError, match=reason):
        warm_up(Altered(alter), MANIFEST)


def test_another_map_than_the_manifest_says_is_refused() -> None:
    with pytest.raises(EngineError, match=r"\[1, 5, 5, 7\]"):
        warm_up(PlainEngine(1), made_manifest(activation_map={"height": 5, "width": 5}))


@pytest.mark.parametrize(
    ("alter", "reason"),
    [
        (lambda p: replace(p, unlikeness=None), "does not give it"),
        (lambda p: replace(p, unlikeness=p.unlikeness[:, None]), r"\[1, 1\].*\[1\]"),
        (lambda p: replace(p, unlikeness=p.unlikeness * np.float32("nan")), "finite"),
        (lambda p: replace(p, unlikeness=p.unlikeness - np.float32(1)), "below 0"),
    ],
    ids=["untold", "shape", "nan", "negative"],
)
def test_an_engine_with_an_impossible_unlikeness_is_refused(
    alter: Callable[[Prediction], Prediction], reason: str
) -> None:
    with pytest.raises(EngineError, match=reason):
        warm_up(Altered(alter), TELLING)


def test_the_service_is_imported_without_tensorflow() -> None:
    code = "import sys, lentigo_inference.startup; sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
