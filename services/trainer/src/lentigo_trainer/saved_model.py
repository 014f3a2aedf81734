"""Ask an exported model by its signature, as a service would."""

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from lentigo_contract.errors import DamagedVersionError
from lentigo_trainer.progress import Progress

_BATCH: Final = 32


def probabilities_of(
    model: Path,
    images: npt.NDArray[np.uint8],
    progress: Progress,
) -> npt.NDArray[np.float32]:
    """Run a SavedModel over some images.

    Args:
        model: folder that holds `saved_model.pb`.
        images: uint8 [n, 224, 224, 3].
        progress: told how many images are done.

    Returns:
        float32 [n, 7], in the order of `labels.CODES`.

    Raises:
        DamagedVersionError: TensorFlow cannot load it, or it lacks the signature.
    """
    try:
        loaded = tf.saved_model.load(str(model))
        serve = loaded.signatures["serving_default"]
    except (OSError, ValueError, KeyError, AttributeError, tf.errors.OpError) as error:
        raise DamagedVersionError(
            f"{model} cannot be loaded as a SavedModel with the signature serving_default: {error}"
        ) from error
    blocks = []
    with progress.track("Evaluating", total=len(images), unit="images") as step:
        for start in range(0, len(images), _BATCH):
            batch = images[start : start + _BATCH]
            blocks.append(serve(image=tf.constant(batch))["probabilities"].numpy())
            step.advance(len(batch))
    return np.concatenate(blocks)
