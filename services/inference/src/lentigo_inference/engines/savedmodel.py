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
from lentigo_inference.engines.base import OUTPUTS, Images, Prediction

# Before the import, which reads it: no progress reports of the C++ runtime among our log lines.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf

_SIGNATURE = "serving_default"


class SavedModelEngine:
    """A version's SavedModel, in memory."""

    name = "savedmodel"
    platform = "tensorflow_savedmodel"
    lanes = 0

    def __init__(self, folder: Path, threads: int, outputs: Sequence[str] = OUTPUTS) -> None:
        """Load the SavedModel in `folder`.

        Args:
            folder: holds `saved_model.pb` and `variables/`.
            threads: what TensorFlow computes with; the first engine of a process decides.
            outputs: what it is asked for, as `outputs_of` the version gives them.

        Raises:
            EngineError: it cannot be loaded, or has another signature than ours.
        """
        _prepare_runtime(threads)
        try:
            # The functions of a signature die with the object that tf.saved_model.load gives.
            self._model: Any = tf.saved_model.load(os.fspath(folder))
            self._signature: Any = self._model.signatures.get(_SIGNATURE)
        except Exception as error:
            raise EngineError(f"TensorFlow cannot load the model: {_first_line(error)}") from error
        _check_signature(self._signature, outputs)
        self._outputs = outputs

    def predict(self, images: Images) -> Prediction:
        """Run the network; see `engine.Engine`."""
        try:
            outputs = self._signature(image=tf.constant(images, dtype=tf.uint8))
            return Prediction(*(np.asarray(outputs[name]) for name in self._outputs))
        except Exception as error:
            raise EngineError(f"TensorFlow cannot run the model: {_first_line(error)}") from error

    def close(self) -> None:
        """Free the variables and the graph, which lie in reference cycles."""
        self._model = self._signature = None
        gc.collect()


@functools.cache
def _prepare_runtime(threads: int) -> None:
    """Bound TensorFlow's threads, and spare the collector the half million objects of its import.

    With those set aside, collecting a closed model takes milliseconds instead of half a second, in
    which no other thread could run.
    """
    gc.freeze()
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        # One request at a time runs, and its operations follow one another.
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:
        # TensorFlow has computed before in this process and keeps the threads it has.
        return


def _check_signature(
    signature: Any,  # noqa: ANN401 - TensorFlow has no types
    wanted: Sequence[str],
) -> None:
    if signature is None:
        raise EngineError(f"The SavedModel has no signature {_SIGNATURE}. Export it again.")
    inputs = signature.structured_input_signature[1]
    outputs = signature.structured_outputs
    image = inputs.get("image")
    fits = (
        set(inputs) == {"image"}
        and image.dtype == tf.uint8
        and image.shape.is_compatible_with([None, MODEL_SIDE, MODEL_SIDE, 3])
        and set(wanted) <= set(outputs)
    )
    if not fits:
        raise EngineError(
            f"The SavedModel's {_SIGNATURE} takes {_described(inputs)} and gives "
            f"{_described(outputs)}; expected is image uint8 [n, 224, 224, 3] to "
            f"{', '.join(wanted)}. Export it again with this release of the trainer."
        )


def _described(tensors: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {tensor.dtype.name} {tensor.shape}" for name, tensor in sorted(tensors.items())
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
