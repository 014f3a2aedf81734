"""What a model runtime must do, and how a freshly loaded one is put to the proof."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from lentigo_contract.errors import EngineError
from lentigo_contract.imaging.read import MODEL_SIDE
from lentigo_contract.labels import CODES
from lentigo_contract.manifest.manifest import Manifest
from lentigo_contract.repository.store import StoredVersion

Images = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

OUTPUTS: Final = ("probabilities", "activation_map")
"""What every version gives."""

UNLIKENESS: Final = "unlikeness"
"""What a version gives besides if its manifest has a limit for it."""

# float32 softmax over seven classes sums to 1 within some 1e-7; a quantised one within 1e-2.
_SUM_TOLERANCE: Final = 0.02


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the network says of n images.

    Attributes:
        probabilities: float32 [n, 7], rows sum to 1, columns in `labels.CODES` order.
        activation_map: float32 [n, h, w, 7], how far each place speaks for each diagnosis.
        unlikeness: float32 [n], 0 and above, how unlike its training images each is; None from
            versions that do not tell.
    """

    probabilities: Floats
    activation_map: Floats
    unlikeness: Floats | None = None

    @property
    def tensors(self) -> tuple[Floats, ...]:
        """Those there are, in the order of the fields."""
        both = (self.probabilities, self.activation_map)
        return both if self.unlikeness is None else (*both, self.unlikeness)


def outputs_of(manifest: Manifest) -> tuple[str, ...]:
    """Name the outputs of a version, in the order of `Prediction`'s fields."""
    return (*OUTPUTS, UNLIKENESS) if manifest.unlikeness else OUTPUTS


class Engine(Protocol):
    """A loaded version. Only one thread at a time calls it."""

    @property
    def name(self) -> str:
        """The runtime, in a word."""

    @property
    def platform(self) -> str:
        """The runtime and format, as the Open Inference Protocol's metadata call it."""

    @property
    def lanes(self) -> int:
        """Images that it computes side by side; 0 if it computes a batch as one."""

    def predict(self, images: Images) -> Prediction:
        """Run the network on uint8 [n, 224, 224, 3] sRGB.

        Raises:
            EngineError: the runtime failed.
        """

    def close(self) -> None:
        """Free the memory of the version; nothing is asked of it afterwards."""


EngineLoader = Callable[[StoredVersion], Engine]
"""Loads a verified version, or raises EngineError."""

InTurn = Callable[[Callable[[], Prediction]], Prediction]
"""Runs an engine between the batches of requests, and gives what it gives."""


def at_once(run: Callable[[], Prediction]) -> Prediction:
    """Run an engine without waiting for anyone: an `InTurn` for where there are no requests."""
    return run()


@dataclass(frozen=True, slots=True)
class EngineInTurn:
    """An engine that is put to the proof while another answers requests.

    A network uses every core it is given, so two that compute at the same time slow each other
    down. Each run of this one waits for its turn.
    """

    engine: Engine
    in_turn: InTurn

    @property
    def name(self) -> str:
        """The engine's."""
        return self.engine.name

    @property
    def platform(self) -> str:
        """The engine's."""
        return self.engine.platform

    @property
    def lanes(self) -> int:
        """The engine's."""
        return self.engine.lanes

    def predict(self, images: Images) -> Prediction:
        """Run the network when it is its turn; see `Engine`."""
        return self.in_turn(lambda: self.engine.predict(images))

    def close(self) -> None:
        """Close the engine."""
        self.engine.close()


def warm_up(engine: Engine, manifest: Manifest, sizes: Iterable[int] = (1, 2)) -> None:
    """Run a new engine before anyone waits for it, and refuse it if what it says is impossible.

    The first run of each size allocates and optimises, which takes tens of times as long as the
    next. An engine that takes batches apart is given a lone image, and one for each lane.

    Args:
        engine: the new one.
        manifest: says what it gives, and of which shape its activation map is.
        sizes: of the batches it will be given.

    Raises:
        EngineError: it failed, or gave other shapes or types than the manifest says, numbers that
            are not finite, probabilities that are none, or an unlikeness below 0.
    """
    for count in sorted({1, engine.lanes}) if engine.lanes else sizes:
        check_prediction(engine.predict(_test_images(count)), count, manifest)


def check_prediction(prediction: Prediction, count: int, manifest: Manifest) -> None:
    """Check shapes, types and values of the answer for `count` images. Raises as `warm_up`."""
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
    """Noise, the same every time; for an even place its negative."""
    noise = np.random.default_rng(0).integers(0, 256, (MODEL_SIDE, MODEL_SIDE, 3), dtype=np.uint8)
    return np.stack([255 - noise if place % 2 else noise for place in range(count)])
