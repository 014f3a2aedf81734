"""An engine that passes on to another, for those that add something to it."""

from dataclasses import dataclass

from lentigo_engines.base import Engine, Images, Prediction


@dataclass(frozen=True, slots=True)
class WrappedEngine:
    """An `Engine` that does what another one does."""

    engine: Engine

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
