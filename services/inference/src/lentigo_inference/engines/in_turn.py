"""Running an engine in turn with the one that serves requests."""

from collections.abc import Callable
from dataclasses import dataclass

from lentigo_engines.base import Images, Prediction
from lentigo_inference.engines.wrapped import WrappedEngine

InTurn = Callable[[Callable[[], Prediction]], Prediction]
"""Runs a prediction between the batches of requests, and returns it."""


def at_once(run: Callable[[], Prediction]) -> Prediction:
    """Run a prediction without waiting: an `InTurn` for when there are no requests."""
    return run()


@dataclass(frozen=True, slots=True)
class EngineInTurn(WrappedEngine):
    """An engine under test while another one answers requests.

    A network uses every core it is given, so two that compute at the same time slow each other
    down. Each run of this engine waits for its turn.
    """

    in_turn: InTurn

    def predict(self, images: Images) -> Prediction:
        """Run the network when it is its turn; see `Engine`."""
        return self.in_turn(lambda: self.engine.predict(images))
