import numpy as np

from lentigo_contract.manifest.manifest import MapGeometry
from lentigo_trainer.calibration.out_of_fold import OutOfFoldAnswers
from lentigo_trainer.calibration.temperature import UNCALIBRATED
from lentigo_trainer.calibration.thresholds import (
    ChosenThresholds,
    Meaning,
    ThresholdBasis,
    choose_thresholds,
)

COUNT = 70


def basis_of(name: str, scores: float | None) -> ThresholdBasis:
    labels = np.arange(COUNT) % 7
    answers = OutOfFoldAnswers(
        np.random.default_rng(0).dirichlet(np.ones(7), COUNT),
        None if scores is None else np.full(COUNT, scores, np.float32),
    )
    lesions = np.arange(COUNT).astype(str)
    return ThresholdBasis(name, labels, lesions, {"savedmodel": answers})


def chosen(basis: ThresholdBasis) -> ChosenThresholds:
    geometry = MapGeometry(height=7, width=7)
    own = basis_of("its own answers", 2.0)
    return choose_thresholds(geometry, Meaning(UNCALIBRATED), "made up", basis, own)


def test_all_thresholds_come_from_one_basis() -> None:
    found = chosen(basis_of("answers of sisters", 1.0))
    assert found.ood.limit == 1
    for source in (found.point.source(), found.abstention.source, found.ood.source):
        assert "on answers of sisters" in source


def test_without_scores_the_limit_alone_comes_from_the_other_basis_and_says_so() -> None:
    found = chosen(basis_of("answers of sisters", None))
    assert found.ood.limit == 2
    assert "on its own answers" in found.ood.source
    assert "on answers of sisters" in found.point.source()
    assert "on answers of sisters" in found.abstention.source
