"""The interface of an engine, what it returns, and the checks that a new one must pass."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, Self

import numpy as np
import numpy.typing as npt

from lentigo_contract.errors import EngineError
from lentigo_contract.imaging.read import MODEL_SIDE
from lentigo_contract.labels import CODES
from lentigo_contract.manifest.manifest import Manifest

Images = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

SIGNATURE: Final = "serving_default"
"""The signature of the SavedModel and of the LiteRT models."""

OUTPUTS: Final = ("probabilities", "activation_map")
"""Outputs of every version."""

UNLIKENESS: Final = "unlikeness"
"""A further output, of versions whose manifest has a limit for it."""

# float32 softmax over seven classes sums to 1 within some 1e-7; a quantised one within 1e-2.
_SUM_TOLERANCE: Final = 0.02


@dataclass(frozen=True, slots=True)
class Prediction:
    """The outputs of a version for n images.

    Attributes:
        probabilities: float32 [n, 7], rows sum to 1, columns in `labels.CODES` order.
        activation_map: float32 [n, h, w, 7], how strongly each cell supports each diagnosis.
        unlikeness: float32 [n], 0 and above, the distance of each image from the training images;
            None from versions without this output.
    """

    probabilities: Floats
    activation_map: Floats
    unlikeness: Floats | None = None

    @property
    def tensors(self) -> tuple[Floats, ...]:
        """The outputs that are present, in the order of the fields."""
        both = (self.probabilities, self.activation_map)
        return both if self.unlikeness is None else (*both, self.unlikeness)

    def take(self, images: npt.NDArray[np.intp]) -> "Prediction":
        """Return the outputs for some of the images, by their numbers."""
        return type(self)(*(tensor[images] for tensor in self.tensors))

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """Join the predictions of one version for successive batches, at least one."""
        tensors = zip(*(part.tensors for part in parts), strict=True)
        return cls(*(np.concatenate(values) for values in tensors))


def outputs_of(manifest: Manifest) -> tuple[str, ...]:
    """Return the names of a version's outputs, in the order of `Prediction`'s fields."""
    return (*OUTPUTS, UNLIKENESS) if manifest.unlikeness else OUTPUTS


def outputs_among(names: Iterable[str]) -> tuple[str, ...]:
    """Return the outputs to read from a model with these: ours, and unlikeness if it is there."""
    return (*OUTPUTS, UNLIKENESS) if UNLIKENESS in names else OUTPUTS


class Engine(Protocol):
    """A loaded version. Only one thread at a time calls it."""

    @property
    def name(self) -> str:
        """The engine's name, as manifests have it."""

    @property
    def platform(self) -> str:
        """The runtime and format, as the Open Inference Protocol's metadata name them."""

    @property
    def lanes(self) -> int:
        """Number of images computed side by side; 0 if a batch is computed as a whole."""

    def predict(self, images: Images) -> Prediction:
        """Run the network on uint8 [n, 224, 224, 3] sRGB.

        Raises:
            EngineError: the runtime failed.
        """

    def close(self) -> None:
        """Free the version's memory. The engine cannot be used afterwards."""


def warm_up(engine: Engine, manifest: Manifest, sizes: Iterable[int] = (1, 2)) -> None:
    """Run a new engine before it serves requests, and check what it returns.

    The first run of each batch size allocates and optimises, which takes tens of times as long as
    the next. An engine with lanes gets a single image, and then one image for each lane.

    Args:
        engine: the new engine.
        manifest: of its version; has the outputs and the shape of the activation map.
        sizes: batch sizes that the engine will be used with.

    Raises:
        EngineError: the engine failed, or returned shapes or types other than the manifest's,
            values that are not finite, invalid probabilities, or an unlikeness below 0.
    """
    for count in sorted({1, engine.lanes}) if engine.lanes else sizes:
        check_prediction(engine.predict(_test_images(count)), count, manifest)


def check_prediction(prediction: Prediction, count: int, manifest: Manifest) -> None:
    """Check the shapes, types and values of a prediction for `count` images.

    Raises:
        EngineError: see `warm_up`.
    """
    geometry = manifest.activation_map
    expected = {
        "probabilities": (count, len(CODES)),
        "activation_map": (count, geometry.height, geometry.width, len(CODES)),
        UNLIKENESS: (count,),
    }
    for name in outputs_of(manifest):
        shape = expected[name]
        values: Floats | None = getattr(prediction, name)
        if values is None:
            raise EngineError(
                f"The manifest has a limit for {name}, and the model does not give it. Export it "
                "again with this release of the trainer."
            )
        if values.shape != shape or values.dtype != np.float32:
            raise EngineError(
                f"The model gives {name} as {values.dtype} {list(values.shape)}; expected is "
                f"float32 {list(shape)}. Export it again with this release of the trainer."
            )
        if not np.isfinite(values).all():
            raise EngineError(
                f"The model gives {name} that are not finite. Train or export it again."
            )
    probabilities = prediction.probabilities
    off = np.abs(probabilities.sum(axis=1, dtype=np.float64) - 1).max(initial=0)
    if probabilities.min(initial=0) < 0 or off > _SUM_TOLERANCE:
        raise EngineError(
            "The model gives probabilities that are negative or do not sum to 1. Export it again "
            "with the softmax inside."
        )
    if prediction.unlikeness is not None and prediction.unlikeness.min(initial=0) < 0:
        raise EngineError("The model gives an unlikeness below 0. Train or export it again.")


def _test_images(count: int) -> Images:
    """Return the same noise every time; every second image is its negative."""
    noise = np.random.default_rng(0).integers(0, 256, (MODEL_SIDE, MODEL_SIDE, 3), dtype=np.uint8)
    return np.stack([255 - noise if place % 2 else noise for place in range(count)])
