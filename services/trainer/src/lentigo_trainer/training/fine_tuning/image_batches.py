"""The batches of an epoch of fine-tuning: images varied at random, and their targets."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from lentigo_contract.imaging.read import MODEL_SIDE
from lentigo_trainer.data.random_augmentation import DrawnAugmentations, augment, mix
from lentigo_trainer.training.fine_tuning.extra_examples import packed_targets
from lentigo_trainer.training.loop import FeatureRows
from lentigo_trainer.training.workers import Workers


@dataclass(frozen=True, slots=True)
class DrawnImages:
    """The images of an epoch, in their order.

    Attributes:
        rows: of the features, [n].
        targets: [n, 7], rows sum to 1.
        spaces: label space of each image, [n]; None if all have all seven diagnoses.
        weights: share of each image that mixup keeps, [n].
        augmentations: of each image.
    """

    rows: npt.NDArray[np.int64]
    targets: npt.NDArray[np.float32]
    spaces: npt.NDArray[np.int64] | None
    weights: npt.NDArray[np.float32]
    augmentations: DrawnAugmentations


def batches_of(
    features: FeatureRows, images: DrawnImages, side: int, batch_size: int, workers: Workers
) -> tf.data.Dataset:
    """Read the images of an epoch, vary them, and blend each batch with itself.

    Args:
        features: the images, float32 [n, 224, 224, 3] by row.
        images: which, in which order, and how varied.
        side: of the varied images, in pixels.
        batch_size: of all workers together; a last, smaller batch is left out.
        workers: those who share every batch.

    Returns:
        Batches of images [b, side, side, 3] and targets, [b, 7] or packed as [b, 2, 8]; of this
        worker's part, with its places in the whole batch, if there are several workers.
    """

    def read(
        rows: tf.Tensor,
        targets: tf.Tensor,
        spaces: tf.Tensor,
        weights: tf.Tensor,
        *columns: tf.Tensor,
    ) -> tuple[tf.Tensor, ...]:
        pixels = tf.numpy_function(features.take, [rows], tf.float32, stateful=False)
        pixels.set_shape((None, MODEL_SIDE, MODEL_SIDE, 3))
        varied = augment(pixels, DrawnAugmentations(*columns), side)
        blended, mixed = mix(varied, targets, weights)
        if images.spaces is not None:
            mixed = packed_targets(targets, spaces, weights)
        return (blended, mixed) if workers.count == 1 else (blended, mixed, *part)

    count = len(images.rows)
    size = min(batch_size, count)
    places = workers.places_in_batch(size)
    part = tuple(tf.constant(each, tf.int64) for each in (places, size, len(places)))
    own = (np.arange(0, count - size + 1, size)[:, None] + places).reshape(-1)
    columns: tuple[npt.NDArray[Any], ...] = (
        images.rows,
        images.targets,
        np.zeros(count, np.int64) if images.spaces is None else images.spaces,
        images.weights,
        *images.augmentations.columns,
    )
    return (
        tf.data.Dataset.from_tensor_slices(tuple(column[own] for column in columns))
        .batch(len(places), drop_remainder=True)
        .map(read)
        .prefetch(3)
    )
