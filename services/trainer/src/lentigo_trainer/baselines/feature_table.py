"""The features of every image, computed once and kept in the work folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lentigo_trainer.baselines.features.sets import FEATURE_SETS, Floats, System, features_of
from lentigo_trainer.data.ham10000 import ImageReader
from lentigo_trainer.errors import DamagedCacheError, DamagedImagesError, FeatureError
from lentigo_trainer.segmentation.images import read_bytes, read_working
from lentigo_trainer.segmentation.per_image import Result, compute_per_image
from lentigo_trainer.system.progress import Progress


@dataclass(frozen=True, slots=True)
class FeatureTable:
    """The features of n images.

    Attributes:
        values: float64 [n, k], finite.
        found: whether a lesion with skin beside it was found, bool [n].
        names: of the features, [k].
    """

    values: Floats
    found: npt.NDArray[np.bool_]
    names: tuple[str, ...]


def feature_table(
    system: System,
    names: Sequence[str],
    readers: Mapping[str, ImageReader],
    folder: Path,
    workers: int,
    progress: Progress,
) -> FeatureTable:
    """Compute the features of images, or read what an earlier run computed.

    Args:
        system: whose features.
        names: of the images.
        readers: of the images, by name.
        folder: where the parts are kept.
        workers: number of processes.
        progress: shows the number of images.

    Raises:
        WorkFolderError: the folder holds features of other images, or another run uses it.
        DamagedImagesError: an image cannot be decoded.
        FeatureError: a feature is not finite.
        DamagedCacheError: a part cannot be read.
    """
    chosen = FEATURE_SETS[system]
    kept = compute_per_image(
        _compute,
        lambda name: (system, name, read_bytes(readers[name], name)),
        names,
        folder,
        {
            "title": f"Features ({system})",
            "version": chosen.version,
            "features": list(chosen.names),
        },
        workers,
        progress,
    )
    values = kept["values"].astype(np.float64)
    if values.shape != (len(names), len(chosen.names)) or not np.isfinite(values).all():
        raise DamagedCacheError(
            f"{folder} holds no such features. Delete it to compute them again."
        )
    return FeatureTable(values, kept["found"].astype(np.bool_), chosen.names)


def _compute(job: tuple[System, str, bytes]) -> Result:
    system, name, data = job
    try:
        values, found = features_of(system, read_working(data))
    except (DamagedImagesError, FeatureError) as error:
        raise type(error)(f"{name}: {error}") from error
    return {"values": values, "found": np.array(found)}
