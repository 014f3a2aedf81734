"""Metrics of subgroups of the images: by sex, age, body site and how the diagnosis was confirmed.

Few images say little, so a subgroup, or a metric, of fewer than `FEWEST` examples gets no value.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from lentigo_contract.labels import CODES
from lentigo_contract.wording import pluralize
from lentigo_trainer.metrics.arrays import (
    BoolArray,
    FloatArray,
    LabelArray,
    is_malignant,
)
from lentigo_trainer.metrics.bootstrap import FEWEST, Basis, Estimate, Resampling, estimates, mean
from lentigo_trainer.metrics.classification import majority_code, present_codes
from lentigo_trainer.metrics.decisions import Decisions, decisions_of
from lentigo_trainer.metrics.ranking import auc

UNKNOWN: Final = "unknown"

Names = NDArray[Any]
"""The subgroup that each image belongs to, [n]."""


class Subgroup(BaseModel):
    """One subgroup of the images.

    Attributes:
        n: how many images.
        lesions: how many lesions they show.
        averaged_over: the diagnoses that balanced accuracy averages over: those present.
        majority_baseline: accuracy of always predicting the subgroup's most frequent diagnosis.
        reason: why there are no metrics, if there are none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    n: int
    lesions: int
    averaged_over: tuple[str, ...]
    accuracy: Estimate | None = None
    majority_baseline: Estimate | None = None
    balanced_accuracy: Estimate | None = None
    melanoma_sensitivity: Estimate | None = None
    malignant_auc: Estimate | None = None
    reason: str | None = None


Subgroups = dict[str, dict[str, Subgroup]]
"""By attribute ("sex"), then by the name of the subgroup ("female")."""


def subgroups(
    people: pd.DataFrame,
    truth: LabelArray,
    probabilities: FloatArray,
    resampling: Resampling,
    decisions: Decisions | None = None,
) -> Subgroups:
    """Evaluate every subgroup; they are in order of their names, the unknown last.

    Args:
        people: HAM10000's metadata, a row for each image.
        truth: class numbers, [n].
        probabilities: [n, 7]; rows sum to 1.
        resampling: how to compute the intervals.
        decisions: about these images; by default for the most probable diagnosis.
    """
    found: Subgroups = {}
    decided = decisions or decisions_of(probabilities)
    for name, part_of in _ATTRIBUTES.items():
        parts = part_of(people)
        found[name] = {
            part: _subgroup(parts == part, truth, decided, resampling)
            for part in sorted(set(parts), key=lambda part: (part == UNKNOWN, part))
        }
    return found


def _subgroup(
    inside: BoolArray, truth: LabelArray, decisions: Decisions, resampling: Resampling
) -> Subgroup:
    truth = truth[inside]
    groups = resampling.groups[inside]
    n, lesions, present = truth.size, np.unique(groups).size, present_codes(truth)
    if n < FEWEST:
        reason = f"only {pluralize(n, 'image')}; below {FEWEST} no figure is given"
        return Subgroup(n=n, lesions=lesions, averaged_over=present, reason=reason)
    right = decisions.classes[inside] == truth
    frequent = truth == CODES.index(majority_code(truth))
    malignant = is_malignant(truth)
    score = decisions.malignancy[inside]
    places = [CODES.index(code) for code in present]

    def statistics(weights: FloatArray) -> Mapping[str, FloatArray]:
        recalls = [mean(right, weights, among=truth == place) for place in places]
        return {
            "accuracy": mean(right, weights),
            "majority_baseline": mean(frequent, weights),
            "balanced_accuracy": np.stack(recalls).mean(axis=0),
            "melanoma_sensitivity": mean(right, weights, among=truth == CODES.index("mel")),
            "malignant_auc": auc(malignant, score, weights),
        }

    fewer = int(min(malignant.sum(), n - malignant.sum()))
    bases = {
        "accuracy": Basis(n, ""),
        "majority_baseline": Basis(n, ""),
        "balanced_accuracy": Basis(n, ""),
        "melanoma_sensitivity": Basis(int((truth == CODES.index("mel")).sum()), ""),
        "malignant_auc": Basis(fewer, ""),
    }
    own = Resampling(groups, resampling.seed, resampling.resamples)
    metrics = estimates(statistics, bases, own, fewest=FEWEST)
    return Subgroup.model_validate(
        {"n": n, "lesions": lesions, "averaged_over": present, **metrics}
    )


def _column(name: str) -> Callable[[pd.DataFrame], Names]:
    def part_of(people: pd.DataFrame) -> Names:
        return people[name].replace("", UNKNOWN).to_numpy()

    return part_of


def _age_band(people: pd.DataFrame) -> Names:
    def band(age: float) -> str:
        if np.isnan(age):
            return UNKNOWN
        low = 20 * min(int(age // 20), 4)
        return "80 and over" if low == 80 else f"{low:02} to {low + 19}"

    return np.array([band(age) for age in people["age"]])


_ATTRIBUTES: Final[dict[str, Callable[[pd.DataFrame], Names]]] = {
    "sex": _column("sex"),
    "age": _age_band,
    "site": _column("localization"),
    "confirmation": _column("dx_type"),
}
