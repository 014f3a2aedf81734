"""How a version's network was made smaller, on record."""

from typing import Annotated

from pydantic import Field

from lentigo_contract.manifest.fields import Count, JsonObject, Name, Record, Text

_MAX_STEPS = 10


class CompressedNetwork(Record):
    """What was done to a trained network, and which part of the training images it never saw.

    Attributes:
        variant: its name in the compression file.
        steps: what was done, in words, one after the other.
        settings: all values of these steps, and of the fine-tuning after them.
        fold: the fold of the training images that trained neither the network nor what was made
            of it, counted from 1. Calibration and thresholds were chosen on it.
        folds: how many there are.
        multiplications: for one image, those with weights that are 0 included.
    """

    variant: Name
    steps: Annotated[tuple[Text, ...], Field(strict=False, min_length=1, max_length=_MAX_STEPS)]
    settings: JsonObject
    fold: Annotated[int, Field(ge=1, le=1000)]
    folds: Annotated[int, Field(ge=2, le=1000)]
    multiplications: Count
