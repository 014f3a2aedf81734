import os

import keras
import numpy as np
import pytest
import tensorflow as tf

from lentigo_trainer.errors import WeightsError
from lentigo_trainer.models.classifier import Network, build
from lentigo_trainer.models.registry import architecture
from lentigo_trainer.training.feature_extraction.frozen_backbone import BATCH, FrozenBackbone
from lentigo_trainer.training.precision import cpu_info, multiplies_bfloat16
from tests.trainer.networks import lively_mobilenet

# Whether this processor computes in bfloat16 what TensorFlow compiles to bfloat16.
REWRITES = (
    multiplies_bfloat16(cpu_info())
    and os.environ.get("TF_ENABLE_ONEDNN_OPTS") != "0"
    and "ONEDNN_MAX_CPU_ISA" not in os.environ
)


@pytest.fixture(scope="module")
def network() -> Network:
    return lively_mobilenet(6)


def images(rows: int) -> np.ndarray:
    return np.random.default_rng(rows).uniform(0, 255, (rows, 224, 224, 3)).astype(np.float32)


def test_features_equal_keras_for_every_batch_size(network: Network) -> None:
    backbone = FrozenBackbone(network.backbone, threads=1)
    assert backbone.shape == (14, 14, 512)
    for rows in (BATCH, 3, BATCH):
        expected = np.asarray(network.backbone(images(rows)))
        found = backbone(images(rows))
        np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("name", "shape", "off"),
    [("mobilenet_v3_small", (14, 14, 48), 1e-3), ("resnet50", (2048,), 1e-2)],
)
def test_features_of_branched_gated_and_pooled_networks_equal_keras(
    name: str, shape: tuple[int, ...], off: float
) -> None:
    chosen = architecture(name)
    built = build(chosen, "random", seed=0)
    backbone = FrozenBackbone(built.backbone, threads=1, plain=chosen.plain)
    assert backbone.shape == shape
    for rows in (2, 3):
        expected = np.asarray(built.backbone(images(rows)))
        found = backbone(images(rows))
        np.testing.assert_allclose(found, expected, atol=off * np.abs(expected).max())


def test_the_digest_depends_on_the_weights(network: Network) -> None:
    same = FrozenBackbone(network.backbone, threads=1).digest
    assert same == FrozenBackbone(network.backbone, threads=2).digest
    assert same != FrozenBackbone(lively_mobilenet(7).backbone, threads=1).digest


@pytest.fixture(params=[False, True], ids=["float32", "bfloat16"])
def has_bfloat16(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    has: bool = request.param
    for module in ("precision", "feature_extraction.frozen_backbone"):
        monkeypatch.setattr(f"lentigo_trainer.training.{module}.bfloat16_is_faster", lambda: has)
    return has


def rewrites() -> bool:
    """Whether TensorFlow now rewrites what it compiles to bfloat16."""
    options = tf.config.optimizer.get_experimental_options()
    return bool(options.get("auto_mixed_precision_onednn_bfloat16"))


def test_the_digest_depends_on_the_arithmetic_and_bfloat16_is_off_after(has_bfloat16: bool) -> None:
    image = keras.Input((8, 8, 3))
    # With nothing in it to rewrite, so that any processor can compute what this one claims to.
    small = keras.Model(image, keras.layers.Rescaling(2.0)(image))
    lite, plain = (FrozenBackbone(small, 1, plain).digest for plain in (False, True))
    assert (lite != plain) is has_bfloat16
    assert not rewrites()


def test_tensorflow_rewrites_it_only_on_a_processor_that_has_bfloat16(has_bfloat16: bool) -> None:
    seen: list[bool] = []

    def note(values: np.ndarray) -> np.ndarray:
        seen.append(rewrites())
        return values

    def watched(values: tf.Tensor) -> tf.Tensor:
        return tf.ensure_shape(tf.numpy_function(note, [values], tf.float32), values.shape)

    image = keras.Input((8, 8, 3))
    backbone = FrozenBackbone(
        keras.Model(image, keras.layers.Lambda(watched)(image)), 1, plain=True
    )
    # Keras computed what to compare with, and stayed in float32.
    assert seen == [False, has_bfloat16]
    backbone(np.zeros((3, 8, 8, 3), np.float32))
    assert seen == [False, has_bfloat16, has_bfloat16]
    assert not rewrites()


def test_it_rounds_only_on_a_processor_that_has_bfloat16(has_bfloat16: bool) -> None:
    if has_bfloat16 and not REWRITES:
        pytest.skip("TensorFlow rounds nothing on this processor; the test above is for any")
    image = keras.Input((32, 32, 3))
    convolved = keras.layers.Conv2D(16, 3)(keras.layers.Conv2D(16, 3)(image))
    network = keras.Model(image, convolved)
    shown = np.random.default_rng(0).uniform(0, 255, (BATCH, 32, 32, 3)).astype(np.float32)
    expected = np.asarray(network(shown))
    found = FrozenBackbone(network, 1, plain=True)(shown)
    assert np.allclose(found, expected, atol=1e-4 * np.abs(expected).max()) is not has_bfloat16


@pytest.mark.parametrize("plain", [False, True])
def test_a_backbone_that_computes_nan_is_refused(plain: bool) -> None:
    image = keras.Input((8, 8, 3))
    broken = keras.Model(image, keras.layers.Rescaling(float("nan"))(image))
    with pytest.raises(WeightsError, match="other numbers in the fast pass"):
        FrozenBackbone(broken, 1, plain)
