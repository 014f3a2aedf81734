"""What a version makes of an image: whether it can be judged, and the decision about it."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from lentigo_contract.description.describe import Description
from lentigo_contract.errors import EngineError
from lentigo_contract.imaging.quality import QualityIssue, Reason
from lentigo_contract.manifest.manifest import OodThreshold
from lentigo_engines.base import Floats, Prediction
from lentigo_inference.serving.activation_map import DrawnMap
from lentigo_inference.serving.decision import Decision
from lentigo_inference.serving.decoding import DecodedUpload
from lentigo_inference.serving.model_slot import LoadedModel

Explain = Literal["none", "top", "all"]
"""Which activation maps to draw: none, that of the diagnosis, or all seven."""


@dataclass(frozen=True, slots=True)
class PredictionOptions:
    """What a request wants besides a diagnosis.

    Attributes:
        explain: which activation maps.
        force: whether to predict also for an image that cannot be judged.
        describe: whether to describe the lesion.
    """

    explain: Explain = "none"
    force: bool = False
    describe: bool = False


@dataclass(frozen=True, slots=True)
class Quality:
    """Whether an image can be judged.

    Attributes:
        reasons: why it cannot; empty if it can.
        unlikeness: how unlike the training images it is, 0 and above; None if not computed.
    """

    reasons: tuple[Reason, ...] = ()
    unlikeness: float | None = None

    @property
    def accepted(self) -> bool:
        """Whether the image can be judged."""
        return not self.reasons


@dataclass(frozen=True, slots=True)
class PredictionResult:
    """The prediction of one model for one image.

    Attributes:
        model: the version that predicted.
        upload: the image.
        quality: whether the image can be judged.
        decision: about the image; None if it is withheld, because the image cannot be judged and
            the request does not force a prediction.
        activation_maps: the requested ones, the most probable diagnosis first.
        description: of the lesion; None if it was not asked for.
    """

    model: LoadedModel
    upload: DecodedUpload
    quality: Quality
    decision: Decision | None = None
    activation_maps: tuple[DrawnMap, ...] = ()
    description: Description | None = None


def quality_of(
    issues: tuple[QualityIssue, ...], unlikeness: float | None, threshold: OodThreshold | None
) -> Quality:
    """Combine the checks of the pixels and of the network.

    Args:
        issues: found in the pixels.
        unlikeness: computed by the network, if it ran and has this output.
        threshold: of the version, if it has one.
    """
    unlike = unlikeness is not None and threshold is not None and unlikeness > threshold.limit
    return Quality((*issues, "unlike-training-images") if unlike else issues, unlikeness)


def judge(
    model: LoadedModel, prediction: Prediction, issues: tuple[QualityIssue, ...], *, force: bool
) -> tuple[Quality, Decision | None]:
    """Say what a version makes of what its network computed of one image.

    Args:
        model: the version.
        prediction: of the image, n = 1.
        issues: found in the pixels.
        force: whether to decide also about an image that cannot be judged.

    Returns:
        Whether the image can be judged, and the decision; None if it is withheld.

    Raises:
        EngineError: there are numbers that are not finite.
    """
    probabilities = require_finite(prediction.probabilities[0], model)
    unlikeness = None
    if prediction.unlikeness is not None:
        unlikeness = float(require_finite(prediction.unlikeness, model)[0])
    quality = quality_of(issues, unlikeness, model.stored.manifest.unlikeness)
    decides = quality.accepted or force
    return quality, model.rule.decide(probabilities) if decides else None


def require_finite(values: Floats, model: LoadedModel) -> Floats:
    """Return a version's numbers, which JSON and PNG need to be finite.

    Raises:
        EngineError: one of them is not.
    """
    if not np.isfinite(values).all():
        raise EngineError(f"Version {model.version} returned numbers that are not finite.")
    return values
