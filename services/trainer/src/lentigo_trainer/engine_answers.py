"""What an engine gives for some images, all of it from one run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class EngineAnswers:
    """The answers to n images.

    Attributes:
        probabilities: float32 [n, 7], in the order of `labels.CODES`.
        unlikeness: float32 [n], 0 and above, see `unlikeness.distance`; None from a version that
            does not tell.
    """

    probabilities: npt.NDArray[np.float32]
    unlikeness: npt.NDArray[np.float32] | None


def answers_in(outputs: Mapping[str, Any]) -> EngineAnswers:
    """Pick the answers out of a signature's outputs; copies, since a runtime may reuse its own."""
    told = outputs.get("unlikeness")
    return EngineAnswers(
        np.array(outputs["probabilities"]), None if told is None else np.array(told)
    )


def joined(parts: Sequence[EngineAnswers]) -> EngineAnswers:
    """Put together what the same version gave for one batch after the other, at least one."""
    told = [part.unlikeness for part in parts if part.unlikeness is not None]
    return EngineAnswers(
        np.concatenate([part.probabilities for part in parts]),
        np.concatenate(told) if told else None,
    )
