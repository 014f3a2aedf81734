"""An engine that was chosen by its speed on this machine."""

from collections.abc import Mapping
from dataclasses import dataclass

from lentigo_inference.engines.wrapped import WrappedEngine


@dataclass(frozen=True, slots=True)
class MeasuredEngine(WrappedEngine):
    """The engine, and what was measured of all that were to choose from.

    Attributes:
        engine: the chosen one.
        images_per_second: throughput by name, the chosen one included.
    """

    images_per_second: Mapping[str, float]
