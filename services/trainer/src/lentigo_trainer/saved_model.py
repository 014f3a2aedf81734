"""Ask an exported model by its signature, as a service would."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from lentigo_contract.errors import DamagedVersionError
from lentigo_trainer.progress import Progress

BATCH: Final = 32
SIGNATURE: Final = "serving_default"


Ask = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]
"""Images, uint8 [n, 224, 224, 3], to probabilities, float32 [n, 7], in the order of the labels."""


def open_saved_model(model: Path) -> Ask:
    """Load a SavedModel, to be asked for probabilities.

    Args:
        model: folder that holds `saved_model.pb`.

    Raises:
        DamagedVersionError: TensorFlow cannot load it, or it lacks the signature.
    """
    try:
        loaded = tf.saved_model.load(str(model))
        loaded.signatures[SIGNATURE]
    except (OSError, ValueError, KeyError, AttributeError, tf.errors.OpError) as error:
        raise DamagedVersionError(
            f"{model} cannot be loaded as a SavedModel with the signature {SIGNATURE}: {error}"
        ) from error

    def ask(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        # Asked by way of `loaded`, which must live as long as its signature.
        serve = loaded.signatures[SIGNATURE]
        answer: npt.NDArray[np.float32] = serve(image=tf.constant(images))["probabilities"].numpy()
        return answer

    return ask


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
        DamagedVersionError: as `open_saved_model` does.
    """
    ask = open_saved_model(model)
    blocks = []
    with progress.track("Evaluating", total=len(images), unit="images") as step:
        for start in range(0, len(images), BATCH):
            batch = images[start : start + BATCH]
            blocks.append(ask(batch))
            step.advance(len(batch))
    return np.concatenate(blocks)
