"""How the images look that a version was measured on, so that a change of the input shows later."""

from itertools import pairwise
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, model_validator

from lentigo_contract.manifest.fields import Count, Record, Text

LEVELS: Final = tuple(step / 20 for step in range(21))
"""The shares of the images that the quantiles of a distribution are of: 0, 0.05, ... 1."""


def _ascending(values: tuple[float, ...]) -> tuple[float, ...]:
    if any(low > high for low, high in pairwise(values)):
        raise ValueError("quantiles do not descend")
    return values


Quantiles = Annotated[
    tuple[Annotated[float, Field(ge=0)], ...],
    Field(strict=False, min_length=len(LEVELS), max_length=len(LEVELS)),
    AfterValidator(_ascending),
]
"""A distribution by its quantiles at `LEVELS`."""


class InputReference(Record):
    """The distributions of some images that trained nothing, as the service measures them.

    Attributes:
        images: which, in words.
        n: how many.
        refused: how many of them cannot be judged, by their pixels or their unlikeness.
        brightness: see `imaging.quality.ImageQuality`.
        sharpness: likewise.
        unlikeness: the network's own output; None where it has none.
    """

    images: Text
    n: Annotated[int, Field(gt=0, le=2**63 - 1)]
    refused: Count
    brightness: Quantiles
    sharpness: Quantiles
    unlikeness: Quantiles | None = None

    @model_validator(mode="after")
    def _refused_are_among_them(self) -> Self:
        if self.refused > self.n:
            raise ValueError("more images are refused than there are")
        return self
