"""The frozen trunk, faster than Keras runs it: on LiteRT, or on TensorFlow compiled.

LiteRT runs float32 through XNNPACK, whose depthwise convolutions suit MobileNet and its
successors: docs/decisions/0004-frozen-trunk-on-litert.md. Plain convolutions are fastest on
TensorFlow, in bfloat16 if the processor has it: docs/decisions/0018-plain-convolutions.md.
"""

import hashlib
from collections.abc import Callable
from typing import Final

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from lentigo_contract.errors import WeightsError
from lentigo_trainer.bfloat16 import bfloat16_pays, in_bfloat16
from lentigo_trainer.system.native_output import held_back

BATCH: Final = 16

# Largest difference from Keras, relative to the largest feature. Runtimes in float32 round and sum
# in another order, which comes to some 1e-5; in bfloat16 VGG16 came to 3e-3.
TOLERANCE: Final = 1e-3
BFLOAT16_TOLERANCE: Final = 2e-2

Pictures = npt.NDArray[np.float32]
Features = npt.NDArray[np.float32]


class FrozenTrunk:
    """Runs a network's frozen part; for one thread at a time.

    Args:
        trunk: pictures [n, 224, 224, 3] -> features, without anything that learns.
        threads: how many cores LiteRT uses; TensorFlow has settings of its own.
        plain: whether to run on TensorFlow, and in bfloat16 where that pays, rather than on LiteRT
            in float32.

    Attributes:
        shape: of one row's features.
        digest: SHA-256 over the trunk's layers and values, hex; and the arithmetic, if it is not
            float32.

    Raises:
        WeightsError: the trunk gives other numbers here than in Keras.
    """

    def __init__(self, trunk: keras.Model, threads: int, plain: bool = False) -> None:
        self.shape: tuple[int, ...] = tuple(trunk.output_shape[1:])
        bfloat16 = plain and bfloat16_pays()
        self.digest = trunk_digest(trunk) + (" in bfloat16" if bfloat16 else "")
        self._run = _on_tensorflow(trunk) if plain else _OnLiteRT(trunk, threads)
        self._require_agreement(trunk, BFLOAT16_TOLERANCE if bfloat16 else TOLERANCE)

    def __call__(self, pictures: Pictures) -> Features:
        """Compute features.

        Args:
            pictures: float32 [n, 224, 224, 3] in 0 to 255; quickest with n = `BATCH`.

        Returns:
            float32 [n, *shape].
        """
        return self._run(pictures)

    def _require_agreement(self, trunk: keras.Model, tolerance: float) -> None:
        noise = np.random.default_rng(0).uniform(0, 255, (BATCH, *trunk.input_shape[1:]))
        pictures = noise.astype(np.float32)
        expected = np.asarray(trunk(pictures, training=False))
        difference = float(np.max(np.abs(self(pictures) - expected)))
        if not difference <= tolerance * float(np.max(np.abs(expected))):
            raise WeightsError(
                f"The frozen layers give other numbers in the fast pass than in Keras (off by "
                f"{difference}). Check the weights; if they are sound, report this as a bug."
            )


def _on_tensorflow(trunk: keras.Model) -> Callable[[Pictures], Features]:
    forward = tf.function(
        lambda pictures: trunk(pictures, training=False),
        input_signature=[tf.TensorSpec((None, *trunk.input_shape[1:]), tf.float32)],
    )

    def run(pictures: Pictures) -> Features:
        with in_bfloat16(True):
            features: Features = forward(pictures).numpy()
        return features

    return run


class _OnLiteRT:
    def __init__(self, trunk: keras.Model, threads: int) -> None:
        # The interpreter reads the model where it lies, so it has to stay.
        self._model = _converted(trunk)
        with held_back():
            self._interpreter = Interpreter(model_content=self._model, num_threads=threads)
            self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._output = self._interpreter.get_output_details()[0]["index"]
        self._rows = BATCH

    def __call__(self, pictures: Pictures) -> Features:
        if len(pictures) != self._rows:
            self._interpreter.resize_tensor_input(self._input, pictures.shape)
            self._interpreter.allocate_tensors()
            self._rows = len(pictures)
        self._interpreter.set_tensor(self._input, pictures)
        self._interpreter.invoke()
        features: Features = self._interpreter.get_tensor(self._output)
        return features


def _converted(trunk: keras.Model) -> bytes:
    forward = tf.function(
        lambda pictures: trunk(pictures, training=False),
        input_signature=[tf.TensorSpec((BATCH, *trunk.input_shape[1:]), tf.float32)],
    )
    # The converter finds values through a module that tracks them; a Keras model does not do, and
    # what comes out is silently without its weights.
    tracked = tf.Module()
    tracked.values = [variable.value for variable in trunk.variables]
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [forward.get_concrete_function()], tracked
    )
    model: bytes = converter.convert()
    return model


def trunk_digest(trunk: keras.Model) -> str:
    """SHA-256 over a trunk's layers and values, hex."""
    total = hashlib.sha256()
    for layer in trunk.layers:
        total.update(layer.name.encode())
        for value in layer.get_weights():
            total.update(np.ascontiguousarray(value).tobytes())
    return total.hexdigest()
