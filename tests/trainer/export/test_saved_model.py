from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from lentigo_contract.errors import StorageError
from lentigo_contract.labels import CODES
from lentigo_contract.manifest.manifest import MapGeometry
from lentigo_contract.manifest.probabilities import Calibration
from lentigo_trainer.calibration.out_of_distribution import fit_detector
from lentigo_trainer.evaluation.exported_model import predict_with
from lentigo_trainer.export.class_activation_map import class_activation, explain
from lentigo_trainer.export.saved_model import export_saved_model
from lentigo_trainer.models.classifier import Network, build
from lentigo_trainer.models.registry import architecture
from lentigo_trainer.system.progress import SilentProgress

Pixels = NDArray[np.uint8]
Served = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def network() -> Network:
    """A MobileNet whose random weights pass a signal, unlike Keras' initial values."""
    network = build(architecture("mobilenet"), weights="random", seed=3)
    generator = np.random.default_rng(3)
    for variable in network.whole.variables:
        if "kernel" in variable.path:
            # A depthwise kernel [3, 3, c, 1] has 9 inputs, any other all but its last axis.
            fan_in = 9 if variable.shape[-1] == 1 else np.prod(variable.shape[:-1])
            variable.assign(generator.normal(size=variable.shape) * np.sqrt(2 / fan_in))
    return network


@pytest.fixture(scope="module")
def small() -> Network:
    """A network of two layers, for tests that do not depend on the architecture."""
    keras.utils.set_random_seed(4)
    image = keras.Input((224, 224, 3))
    scaled = keras.layers.Rescaling(1 / 127.5, -1)(image)
    features = keras.layers.Conv2D(6, 32, strides=32, name="last")(scaled)
    pooled = keras.layers.GlobalAveragePooling2D()(features)
    whole = keras.Model(image, keras.layers.Dense(len(CODES))(pooled))
    return Network(whole=whole, backbone=whole, head=whole, feature_map="last")


@pytest.fixture(scope="module")
def served(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Served:
    folder = tmp_path_factory.mktemp("version")
    assert export_saved_model(network, folder) == MapGeometry(height=7, width=7)
    loaded = tf.saved_model.load(str(folder))
    signature: Served = loaded.signatures["serving_default"]
    # The functions of a loaded model do not keep it alive.
    signature.model = loaded  # type: ignore[attr-defined]
    signature.folder = folder  # type: ignore[attr-defined]
    return signature


def pixels(n: int) -> Pixels:
    return np.random.default_rng(n).integers(0, 256, (n, 224, 224, 3), dtype=np.uint8)


def softmax(logits: tf.Tensor) -> NDArray[np.float32]:
    return np.asarray(tf.nn.softmax(logits))


@pytest.mark.parametrize("n", [1, 3])
def test_served_probabilities_agree_with_keras(network: Network, served: Served, n: int) -> None:
    probabilities = np.asarray(served(image=tf.constant(pixels(n)))["probabilities"])
    expected = softmax(network.whole(pixels(n).astype(np.float32), training=False))
    assert probabilities.shape == (n, len(CODES))
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)
    # If all classes were equal, agreement would prove nothing.
    assert probabilities.std() > 1e-3


def test_the_served_map_agrees_with_keras(network: Network, served: Served) -> None:
    maps = np.asarray(served(image=tf.constant(pixels(2)))["activation_map"])
    explained = explain(network.whole, network.feature_map)
    features, *hidden, _ = explained.model(pixels(2).astype(np.float32), training=False)
    assert maps.shape == (2, 7, 7, len(CODES))
    assert maps.max() > 1e-3
    np.testing.assert_allclose(maps, class_activation(features, hidden, explained), atol=1e-5)


def test_every_weight_is_written_once(network: Network, served: Served) -> None:
    folder: Path = served.folder  # type: ignore[attr-defined]
    written = sum(file.stat().st_size for file in (folder / "variables").iterdir())
    assert written < 4 * network.whole.count_params() * 1.05


def test_temperature_softens_the_probabilities(small: Network, tmp_path: Path) -> None:
    export_saved_model(small, tmp_path, Calibration(method="temperature", temperature=2.5))
    loaded = tf.saved_model.load(str(tmp_path))
    probabilities = loaded.signatures["serving_default"](image=tf.constant(pixels(1)))[
        "probabilities"
    ]
    logits = small.whole(pixels(1).astype(np.float32), training=False)
    np.testing.assert_allclose(probabilities, softmax(logits / 2.5), atol=1e-5)


def test_ood_scores_are_served_with_a_detector(small: Network, tmp_path: Path) -> None:
    detector = fit_detector(small, pixels(5), np.arange(5), 0, SilentProgress())
    assert detector.layer == small.whole.layers[1].name
    export_saved_model(small, tmp_path, detector=detector)
    scores = predict_with("savedmodel", tmp_path, pixels(3), SilentProgress()).unlikeness
    assert scores is not None
    assert scores.shape == (3,)
    assert scores.dtype == np.float32
    colours = (pixels(3) / 127.5 - 1).mean(axis=(1, 2))
    away = (colours - detector.mean) * detector.scale
    expected = (away**2).sum(axis=1) - ((away @ detector.leading) ** 2).sum(axis=1)
    np.testing.assert_allclose(scores, expected, rtol=1e-4)


def test_without_a_detector_there_are_no_ood_scores(small: Network, tmp_path: Path) -> None:
    export_saved_model(small, tmp_path)
    assert predict_with("savedmodel", tmp_path, pixels(1), SilentProgress()).unlikeness is None


def test_an_unwritable_folder_is_an_error(small: Network, tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("not a folder")
    with pytest.raises(StorageError, match="cannot be written"):
        export_saved_model(small, in_the_way / "version")
