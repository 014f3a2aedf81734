"""Both segmentations measured against people's masks, by diagnosis, with intervals by lesion.

The parameters were tuned on the tuning part of the training lesions (`data.splits.parts_of`, 8 % of
the lesions left by the hold-out), so the figures are for every image of the other lesions.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from lentigo_contract.labels import CODES
from lentigo_contract.segmentation import classical
from lentigo_contract.segmentation.hair import remove_hairs
from lentigo_contract.segmentation.morphology import Bytes
from lentigo_contract.segmentation.region import Finding, Segmentation
from lentigo_trainer.data.duplicates.known import merged_lesions
from lentigo_trainer.data.ham10000 import ImageReader
from lentigo_trainer.data.splits import parts_of, split
from lentigo_trainer.errors import DamagedImagesError, MaskError, MetadataError
from lentigo_trainer.metrics.bootstrap import Basis, Estimate, Resampling, estimates, mean
from lentigo_trainer.segmentation import neural
from lentigo_trainer.segmentation.agreement import agreement
from lentigo_trainer.segmentation.images import read_bytes, read_mask, read_working
from lentigo_trainer.segmentation.per_image import Result, compute_per_image
from lentigo_trainer.system.progress import Progress

Method = Literal["classical", "self-generating"]

METHODS: Final[dict[Method, Callable[[Bytes], Segmentation]]] = {
    "classical": classical.segment_without_hairs,
    "self-generating": neural.segment_without_hairs,
}

MEASURES: Final = ("jaccard", "thresholded", "dice", "surface_distance", "hausdorff_95")

VERSION: Final = 2
"""Change it whenever a method finds another mask in the same image: kept results are redone."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Measured:
    """Both methods on n images.

    Attributes:
        values: of each method, image and measure, float64 [2, n, 5], in the order of `METHODS` and
            `MEASURES`; distances are NaN where a mask is empty.
        findings: of each method and image, the number of its `Finding`, [2, n].
    """

    values: Floats
    findings: npt.NDArray[np.int64]


def measure_masks(
    names: Sequence[str],
    images: Mapping[str, ImageReader],
    masks: Mapping[str, ImageReader],
    folder: Path,
    workers: int,
    progress: Progress,
) -> Measured:
    """Segment images by both methods and compare with the masks; finished parts are kept.

    Args:
        names: of the images.
        images: their readers, by name.
        masks: the masks' readers, by the names of the images.
        folder: where the results are kept.
        workers: number of processes.
        progress: shows the number of images.

    Raises:
        MaskError: images without a mask, or a mask that does not fit.
        DamagedImagesError: an image cannot be decoded.
        WorkFolderError: the folder holds results for other images, or another run uses it.
        DamagedCacheError: a kept part cannot be read.
    """
    missing = [name for name in names if name not in masks]
    if missing:
        raise MaskError(
            f"{len(missing):,} of {len(names):,} images have no mask, such as {missing[0]}. Take "
            "the masks of this data set, whole."
        )
    kept = compute_per_image(
        _compare,
        lambda name: (name, read_bytes(images[name], name), read_bytes(masks[name], name)),
        names,
        folder,
        {"title": "Segmenting", "version": VERSION, "methods": list(METHODS)},
        workers,
        progress,
    )
    return Measured(
        np.moveaxis(kept["values"], 1, 0).astype(np.float64), kept["findings"].T.astype(np.int64)
    )


def tuned_on(records: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Return which images show a lesion that the methods were tuned on, [n].

    A data set that is too small for the paper's split was not tuned on.
    """
    try:
        tuning = parts_of(split(records).train, records).tuning
    except MetadataError:
        return np.zeros(len(records), np.bool_)
    lesions = merged_lesions(records)
    return np.isin(lesions, lesions[tuning])


def summarize(
    measured: Measured, diagnoses: npt.NDArray[np.str_], lesions: npt.NDArray[np.str_], seed: int
) -> dict[str, dict[str, dict[str, Estimate]]]:
    """Return every mean with its 95 % interval by lesion.

    Args:
        measured: of n images.
        diagnoses: codes, [n].
        lesions: what a resample draws whole, [n].
        seed: of the resamples.

    Returns:
        By method, then by "all" or a diagnosis, then by measure. `best` is a further method: on
        each image the better of both, which no method alone can reach.
    """
    both = np.concatenate([measured.values, _better(measured.values)[None]])
    groups = {"all": np.ones(len(diagnoses), np.bool_)}
    groups |= {code: diagnoses == code for code in CODES}
    found: dict[str, dict[str, dict[str, Estimate]]] = {}
    for method, values in zip((*METHODS, "best"), both, strict=True):
        found[method] = {}
        for name, among in groups.items():
            if among.any():
                found[method][name] = _means(values[among], Resampling(lesions[among], seed))
    return found


def difference(measured: Measured, lesions: npt.NDArray[np.str_], seed: int) -> Estimate:
    """Return the mean Jaccard index of the self-generating method minus that of the classical."""
    apart = measured.values[1, :, 0] - measured.values[0, :, 0]
    return estimates(
        lambda weights: {"difference": mean(apart, weights)},
        {"difference": Basis(len(apart), "no image")},
        Resampling(lesions, seed),
    )["difference"]


def _means(values: Floats, resampling: Resampling) -> dict[str, Estimate]:
    known = np.isfinite(values)
    filled = np.where(known, values, 0.0)

    def statistics(weights: npt.NDArray[np.floating]) -> dict[str, npt.NDArray[np.floating]]:
        return {
            name: mean(filled[:, place], weights, among=known[:, place])
            for place, name in enumerate(MEASURES)
        }

    bases = {
        name: Basis(int(known[:, place].sum()), "no image has an outline of both")
        for place, name in enumerate(MEASURES)
    }
    return estimates(statistics, bases, resampling)


def _better(values: Floats) -> Floats:
    first = values[0, :, 0] >= values[1, :, 0]
    return np.asarray(np.where(first[:, None], values[0], values[1]), np.float64)


def _compare(job: tuple[str, bytes, bytes]) -> Result:
    name, image, mask = job
    try:
        pixels = read_working(image)
        truth = read_mask(mask, (pixels.shape[0], pixels.shape[1]))
    except (DamagedImagesError, MaskError) as error:
        raise type(error)(f"{name}: {error}") from error
    clean = remove_hairs(pixels).pixels
    rows, findings = [], []
    for segment in METHODS.values():
        found = segment(clean)
        agreed = agreement(found.mask, truth)
        rows.append([getattr(agreed, measure) for measure in MEASURES])
        findings.append(list(Finding).index(found.finding))
    return {"values": np.array(rows), "findings": np.array(findings)}
