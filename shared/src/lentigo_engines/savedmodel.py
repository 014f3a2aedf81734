"""The SavedModel itself, run by TensorFlow."""

import functools
import gc
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lentigo_contract.errors import EngineError
from lentigo_contract.imaging.read import MODEL_SIDE
from lentigo_contract.wording import first_line
from lentigo_engines.base import SIGNATURE, Images, Prediction, outputs_among

# Before the import, which reads it: no progress reports of the C++ runtime among our log lines.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf


class SavedModelEngine:
    """A version's SavedModel, in memory."""

    name = "savedmodel"
    platform = "tensorflow_savedmodel"
    lanes = 0

    def __init__(
        self, folder: Path, threads: int | None = None, outputs: Sequence[str] | None = None
    ) -> None:
        """Load the SavedModel in `folder`.

        Args:
            folder: holds `saved_model.pb` and `variables/`.
            threads: number of threads that TensorFlow computes with; the first engine of a process
                decides. None leaves TensorFlow as the process has set it up.
            outputs: the outputs to read, see `outputs_of`; by default all that the model has.

        Raises:
            EngineError: the model cannot be loaded, or has a different signature.
        """
        if threads is not None:
            _prepare_runtime(threads)
        try:
            # A signature's functions only live as long as the object that holds them.
            self._model: Any = tf.saved_model.load(os.fspath(folder))
            self._signature: Any = self._model.signatures.get(SIGNATURE)
        except Exception as error:
            raise EngineError(f"TensorFlow cannot load the model: {first_line(error)}") from error
        self._outputs = _checked_outputs(self._signature, outputs)

    def predict(self, images: Images) -> Prediction:
        """Run the network; see `Engine`."""
        try:
            outputs = self._signature(image=tf.constant(images, dtype=tf.uint8))
            return Prediction(*(np.asarray(outputs[name]) for name in self._outputs))
        except Exception as error:
            raise EngineError(f"TensorFlow cannot run the model: {first_line(error)}") from error

    def close(self) -> None:
        """Free the variables and the graph, which lie in reference cycles."""
        self._model = self._signature = None
        gc.collect()


@functools.cache
def _prepare_runtime(threads: int) -> None:
    """Limit TensorFlow's threads, and exempt the objects of its import from garbage collection.

    Without that half million objects, collecting a closed model takes milliseconds instead of half
    a second, during which no other thread could run.
    """
    gc.freeze()
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        # One request at a time runs, and its operations follow one another.
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:
        # TensorFlow has computed before in this process and keeps the threads it has.
        return


def _checked_outputs(
    signature: Any,  # noqa: ANN401 - TensorFlow has no types
    wanted: Sequence[str] | None,
) -> Sequence[str]:
    if signature is None:
        raise EngineError(f"The SavedModel has no signature {SIGNATURE}. Export it again.")
    inputs = signature.structured_input_signature[1]
    outputs = signature.structured_outputs
    wanted = outputs_among(outputs) if wanted is None else wanted
    image = inputs.get("image")
    fits = (
        set(inputs) == {"image"}
        and image.dtype == tf.uint8
        and image.shape.is_compatible_with([None, MODEL_SIDE, MODEL_SIDE, 3])
        and set(wanted) <= set(outputs)
    )
    if not fits:
        raise EngineError(
            f"The SavedModel's {SIGNATURE} takes {_described(inputs)} and gives "
            f"{_described(outputs)}; expected is image uint8 [n, 224, 224, 3] to "
            f"{', '.join(wanted)}. Export it again with this release of the trainer."
        )
    return wanted


def _described(tensors: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {tensor.dtype.name} {tensor.shape}" for name, tensor in sorted(tensors.items())
    )
