"""What a model runtime must do, and how a freshly loaded one is put to the proof."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from lentigo_contract.errors import EngineError
from lentigo_contract.images import MODEL_SIDE
from lentigo_contract.labels import CODES
from lentigo_contract.manifest import MapGeometry
from lentigo_contract.store import StoredVersion

Images = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

# float32 softmax over seven classes sums to 1 within some 1e-7; a quantised one within 1e-2.
_SUM_TOLERANCE: Final = 0.02


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the network says of n images.

    Attributes:
        probabilities: float32 [n, 7], rows sum to 1, columns in `labels.CODES` order.
        activation_map: float32 [n, h, w, 7], how far each place speaks for each diagnosis.
    """

    probabilities: Floats
    activation_map: Floats


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


def warm_up(engine: Engine, geometry: MapGeometry, sizes: Iterable[int] = (1, 2)) -> None:
    """Run a new engine before anyone waits for it, and refuse it if what it says is impossible.

    The first run of each size allocates and optimises, which takes tens of times as long as the
    next. An engine that takes batches apart is given a lone image, and one for each lane.

    Args:
        engine: the new one.
        geometry: of its activation map, as the manifest says.
        sizes: of the batches it will be given.

    Raises:
        EngineError: it failed, or gave other shapes or types than the manifest says, numbers that
            are not finite, or probabilities that are none.
    """
    for count in sorted({1, engine.lanes}) if engine.lanes else sizes:
        check_prediction(engine.predict(_test_images(count)), count, geometry)


def check_prediction(prediction: Prediction, count: int, geometry: MapGeometry) -> None:
    """Check shapes, types and values of the answer for `count` images. Raises as `warm_up`."""
    expected = {
        "probabilities": (count, len(CODES)),
        "activation_map": (count, geometry.height, geometry.width, len(CODES)),
    }
    for name, shape in expected.items():
        values: Floats = getattr(prediction, name)
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


def _test_images(count: int) -> Images:
    """Noise, the same every time; for an even place its negative."""
    noise = np.random.default_rng(0).integers(0, 256, (MODEL_SIDE, MODEL_SIDE, 3), dtype=np.uint8)
    return np.stack([255 - noise if place % 2 else noise for place in range(count)])
