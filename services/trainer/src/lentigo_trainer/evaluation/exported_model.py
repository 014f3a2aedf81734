"""Ask an exported model by its signature, as a service would.

What an engine gives for some images, all of it from one run.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from lentigo_contract.errors import DamagedVersionError
from lentigo_trainer.system.progress import Progress

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class ModelOutputs:
    """The answers to n images.

    Attributes:
        probabilities: float32 [n, 7], in the order of `labels.CODES`.
        unlikeness: float32 [n], 0 and above, see `unlikeness.distance`; None from a version that
            does not tell.
    """

    probabilities: npt.NDArray[np.float32]
    unlikeness: npt.NDArray[np.float32] | None


def select_outputs(outputs: Mapping[str, Any]) -> ModelOutputs:
    """Pick the answers out of a signature's outputs; copies, since a runtime may reuse its own."""
    told = outputs.get("unlikeness")
    return ModelOutputs(
        np.array(outputs["probabilities"]), None if told is None else np.array(told)
    )


def concatenate(parts: Sequence[ModelOutputs]) -> ModelOutputs:
    """Put together what the same version gave for one batch after the other, at least one."""
    told = [part.unlikeness for part in parts if part.unlikeness is not None]
    return ModelOutputs(
        np.concatenate([part.probabilities for part in parts]),
        np.concatenate(told) if told else None,
    )


BATCH: Final = 32
SIGNATURE: Final = "serving_default"


Ask = Callable[[Pixels], ModelOutputs]
"""Images, uint8 [n, 224, 224, 3], to what the version says of them."""


def open_saved_model(model: Path) -> Ask:
    """Load a SavedModel, to be asked about images.

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

    def ask(images: Pixels) -> ModelOutputs:
        # Asked by way of `loaded`, which must live as long as its signature.
        serve = loaded.signatures[SIGNATURE]
        return select_outputs(serve(image=tf.constant(images)))

    return ask


def saved_model_outputs(model: Path, images: Pixels, progress: Progress) -> ModelOutputs:
    """Run a SavedModel over some images.

    Args:
        model: folder that holds `saved_model.pb`.
        images: uint8 [n, 224, 224, 3], at least one.
        progress: told how many images are done.

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
    return concatenate(blocks)


def probabilities_of(model: Path, images: Pixels, progress: Progress) -> npt.NDArray[np.float32]:
    """Give the probabilities alone, float32 [n, 7]; see `saved_model_outputs`."""
    return saved_model_outputs(model, images, progress).probabilities


def litert_outputs(model: Path, images: Pixels, progress: Progress) -> ModelOutputs:
    """Run a LiteRT model over some images, one at a time as the service does.

    Args:
        model: the file.
        images: uint8 [n, 224, 224, 3], at least one.
        progress: told how many images are done.

    Raises:
        DamagedVersionError: LiteRT cannot load it, or it lacks the signature.
    """
    try:
        interpreter = Interpreter(model_path=os.fspath(model), num_threads=os.cpu_count())
        run = interpreter.get_signature_runner(SIGNATURE)
    except (ValueError, RuntimeError) as error:
        raise DamagedVersionError(
            f"{model} cannot be loaded by LiteRT with the signature {SIGNATURE}: {error}"
        ) from error
    rows = []
    with progress.track(f"Evaluating {model.name}", total=len(images), unit="images") as step:
        for image in images:
            rows.append(select_outputs(run(image=image[None])))
            step.advance()
    return concatenate(rows)
