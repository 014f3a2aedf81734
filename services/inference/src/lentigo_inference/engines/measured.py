"""An engine that was chosen by its speed on this machine."""

from collections.abc import Mapping
from dataclasses import dataclass

from lentigo_engines.base import Engine, Images, Prediction


@dataclass(frozen=True, slots=True)
class MeasuredEngine:
    """The engine, and what was measured of all that were to choose from.

    Attributes:
        engine: the chosen one.
        images_per_second: throughput by name, the chosen one included.
    """

    engine: Engine
    images_per_second: Mapping[str, float]

    @property
    def name(self) -> str:
        """See `Engine`."""
        return self.engine.name

    @property
    def platform(self) -> str:
        """See `Engine`."""
        return self.engine.platform

    @property
    def lanes(self) -> int:
        """See `Engine`."""
        return self.engine.lanes

    def predict(self, images: Images) -> Prediction:
        """Run the network; see `Engine`."""
        return self.engine.predict(images)

    def close(self) -> None:
        """Close the engine."""
        self.engine.close()
