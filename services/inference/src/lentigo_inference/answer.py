"""What one model says of one image, and whether the image could be judged at all."""

from dataclasses import dataclass
from typing import Literal

from lentigo_contract.imaging.quality import Flaw, Reason
from lentigo_contract.manifest.manifest import UnlikenessLimit
from lentigo_inference.decoding import DecodedUpload
from lentigo_inference.engines.base import Floats
from lentigo_inference.slot import LoadedModel

Explain = Literal["none", "top", "all"]
"""Which activation maps are drawn: none, that of the most probable diagnosis, or all seven."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for besides a diagnosis.

    Attributes:
        explain: which activation maps.
        force: whether an image is answered that cannot be judged.
    """

    explain: Explain = "none"
    force: bool = False


@dataclass(frozen=True, slots=True)
class DrawnMap:
    """The activation map of one diagnosis code, as a PNG."""

    code: str
    png: bytes


@dataclass(frozen=True, slots=True)
class Quality:
    """Whether an image can be judged.

    Attributes:
        reasons: why it cannot; none if it can.
        unlikeness: how unlike the training images it is, 0 and above; None if nobody computed it.
    """

    reasons: tuple[Reason, ...] = ()
    unlikeness: float | None = None

    @property
    def accepted(self) -> bool:
        """Whether there is no reason against it."""
        return not self.reasons


@dataclass(frozen=True, slots=True)
class Answer:
    """What one model says of one image.

    Attributes:
        model: the version that answered.
        upload: the image it saw.
        quality: whether the image can be judged.
        probabilities: float32 [7], in `labels.CODES` order; None if the answer is withheld,
            because the image cannot be judged and nobody forced one.
        activation_maps: those that were asked for, the most probable diagnosis first.
    """

    model: LoadedModel
    upload: DecodedUpload
    quality: Quality
    probabilities: Floats | None = None
    activation_maps: tuple[DrawnMap, ...] = ()


def quality_of(
    flaws: tuple[Flaw, ...], unlikeness: float | None, limit: UnlikenessLimit | None
) -> Quality:
    """Take what the pixels and the network say together.

    Args:
        flaws: of the pixels.
        unlikeness: what the network says, if it was asked and tells.
        limit: of the version, if it has one.
    """
    unlike = unlikeness is not None and limit is not None and unlikeness > limit.limit
    return Quality((*flaws, "unlike-training-images") if unlike else flaws, unlikeness)
