"""What each part of a baseline adds: the binary question again, with one part left out.

A part is a group of features, or half of the classifier. Folds, seed and images are those of the
whole system, so its advantage is measured image by image.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from lentigo_trainer.baselines.classifiers.base import Fit
from lentigo_trainer.baselines.classifiers.ensemble import fit_one_kind
from lentigo_trainer.baselines.classifiers.genetic import fit_genetic
from lentigo_trainer.baselines.cross_fitting import Lessons, cross_fit_malignancy
from lentigo_trainer.baselines.features.sets import FEATURE_SETS, System
from lentigo_trainer.data.splits import Folds
from lentigo_trainer.metrics.arrays import FloatArray, is_malignant
from lentigo_trainer.metrics.bootstrap import Basis, Estimate, Resampling, estimates
from lentigo_trainer.metrics.ranking import auc
from lentigo_trainer.system.progress import Progress

_REDUCED_CLASSIFIERS: Final[dict[System, dict[str, Fit]]] = {
    "xie": {
        "back-propagation networks alone": partial(fit_one_kind, kind="back-propagation"),
        "fuzzy networks alone": partial(fit_one_kind, kind="fuzzy"),
    },
    "aswin": {"without the genetic algorithm": partial(fit_genetic, generations=0)},
}


@dataclass(frozen=True, slots=True)
class Reduced:
    """A system without one of its parts, out of fold.

    Attributes:
        features: how many it has.
        auc: of malignant against benign.
        lost: the whole system's AUC minus this one.
    """

    features: int
    auc: Estimate
    lost: Estimate


def ablate(
    system: System,
    lessons: Lessons,
    folds: Folds,
    whole: FloatArray,
    resampling: Resampling,
    folder: Path,
    progress: Progress,
) -> dict[str, Reduced]:
    """Train a system without each of its parts, and measure what each adds.

    Args:
        system: which.
        lessons: of the whole system.
        folds: of the training images.
        whole: the system's own out-of-fold probabilities of malignancy, [n].
        resampling: of the same images, by lesion.
        folder: where finished answers are kept.
        progress: shows the number of classifiers.

    Returns:
        By what is left.

    Raises:
        DamagedCacheError, StorageError: as `cross_fitting.cross_fit`.
    """
    features = FEATURE_SETS[system]
    parts = {
        f"without {group}": replace(lessons, values=lessons.values[:, features.without(group)])
        for group in features.groups
    } | {name: replace(lessons, fit=fit) for name, fit in _REDUCED_CLASSIFIERS[system].items()}
    answers = {
        name: cross_fit_malignancy(
            replace(part, name=f"{system}, {name}"),
            folds,
            folder / name.replace(" ", "_"),
            progress,
        )
        for name, part in parts.items()
    }
    malignant = is_malignant(lessons.labels[folds.rows])
    basis = Basis(int(malignant.sum()), "a class has no image")

    def statistics(weights: FloatArray) -> Mapping[str, FloatArray]:
        of_whole = auc(malignant, whole, weights)
        found = {name: auc(malignant, each, weights) for name, each in answers.items()}
        return found | {_lost(name): of_whole - each for name, each in found.items()}

    names = [*answers, *map(_lost, answers)]
    found = estimates(statistics, dict.fromkeys(names, basis), resampling)
    return {
        name: Reduced(part.values.shape[1], found[name], found[_lost(name)])
        for name, part in parts.items()
    }


def _lost(name: str) -> str:
    return f"lost {name}"
