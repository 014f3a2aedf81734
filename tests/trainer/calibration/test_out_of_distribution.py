import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from lentigo_trainer.calibration.out_of_distribution import (
    LEADING,
    fit_detector,
    stage_before_last,
)
from lentigo_trainer.errors import TrainingError
from lentigo_trainer.models.classifier import build
from lentigo_trainer.models.registry import architecture
from lentigo_trainer.system.progress import SilentProgress
from tests.trainer.networks import lively_mobilenet

SILENT = SilentProgress()


def pixels(n: int) -> NDArray[np.uint8]:
    return np.random.default_rng(n).integers(0, 256, (n, 224, 224, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("mobilenet", "conv_pw_11_relu"),
        ("mobilenet_v2", "block_13_expand_relu"),
        ("vgg16", "block5_conv3"),
        ("resnet50", "conv4_block6_out"),
    ],
)
def test_features_come_from_the_stage_before_the_last(name: str, layer: str) -> None:
    network = build(architecture(name), weights="random", seed=0)
    assert stage_before_last(network.whole, network.feature_map) == layer


def test_without_a_finer_layer_features_come_from_the_last_feature_map() -> None:
    image = keras.Input((8, 8, 3))
    features = keras.layers.Conv2D(2, 1, name="last")(image)
    logits = keras.layers.Dense(7)(keras.layers.Flatten()(features))
    assert stage_before_last(keras.Model(image, logits), "last") == "last"


def test_only_training_images_and_the_seed_decide_the_fit() -> None:
    network = lively_mobilenet(2)
    images = pixels(5)
    first = fit_detector(network, images, np.array([0, 2, 3]), 7, SILENT)
    images[[1, 4]] = 0
    again = fit_detector(network, images, np.array([0, 2, 3]), 7, SILENT)
    assert first.leading.shape == (512, LEADING)
    np.testing.assert_array_equal(first.leading, again.leading)
    other = fit_detector(network, images, np.array([0, 2, 3]), 8, SILENT)
    assert (first.leading != other.leading).any()


def test_an_empty_training_set_is_refused() -> None:
    with pytest.raises(TrainingError, match="not 0"):
        fit_detector(lively_mobilenet(2), pixels(2), np.array([], np.intp), 0, SILENT)
