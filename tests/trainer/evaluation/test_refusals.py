import numpy as np
import pytest

from lentigo_contract.errors import DamagedVersionError
from lentigo_contract.manifest.manifest import OodThreshold
from lentigo_engines.base import Floats, Prediction
from lentigo_trainer.evaluation.referral import refused_by, refused_share
from lentigo_trainer.metrics.bootstrap import Resampling
from tests.trainer.metrics.made_up_answers import certain

THRESHOLD = OodThreshold(limit=2.5, method="made up", source="made up")

NONE_FLAWED = np.zeros(3, bool)
FIRST_FLAWED = np.array([True, False, False])


def no_map(n: int) -> Floats:
    return np.zeros((n, 1, 1, 7), np.float32)


def outputs(*unlikeness: float) -> Prediction:
    probabilities = certain(*[5] * len(unlikeness)).astype(np.float32)
    return Prediction(probabilities, no_map(len(probabilities)), np.array(unlikeness, np.float32))


def test_images_above_the_threshold_are_refused_and_one_at_it_is_not() -> None:
    refused = refused_by(THRESHOLD, outputs(0.5, 2.5, 2.6), NONE_FLAWED)
    assert refused.tolist() == [False, False, True]


def test_a_version_without_a_threshold_refuses_only_unusable_images() -> None:
    assert refused_by(None, outputs(0.5, 99, 1), FIRST_FLAWED).tolist() == [True, False, False]


def test_unusable_images_are_refused_whatever_their_score() -> None:
    assert refused_by(THRESHOLD, outputs(0.5, 2.6, 1), FIRST_FLAWED).tolist() == [True, True, False]


def test_a_threshold_without_scores_from_the_network_is_damage() -> None:
    without_scores = Prediction(certain(5).astype(np.float32), no_map(5))
    with pytest.raises(DamagedVersionError, match="does not return"):
        refused_by(THRESHOLD, without_scores, NONE_FLAWED[:1])


def test_the_share_has_an_interval_over_lesions() -> None:
    refused = np.array([True, True, *[False] * 6])
    # Both are of the first lesion, which a resample has twice, once or not at all.
    found = refused_share(refused, Resampling(np.arange(8) // 4, seed=0))
    assert (found.value, found.low, found.high, found.n) == (0.25, 0, 0.5, 8)
