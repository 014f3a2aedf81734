"""The frozen backbone, run faster than Keras does: on LiteRT, or on TensorFlow compiled.

LiteRT runs float32 on XNNPACK, whose depthwise convolutions suit MobileNet and its successors:
docs/decisions/0004-frozen-backbone-on-litert.md. Plain convolutions are fastest on TensorFlow, in
bfloat16 if the processor supports it: docs/decisions/0018-plain-convolutions-in-bfloat16.md.
"""

import hashlib
from collections.abc import Callable
from typing import Final

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from lentigo_trainer.errors import WeightsError
from lentigo_trainer.system.native_output import held_back
from lentigo_trainer.training.precision import bfloat16_is_faster, in_bfloat16

BATCH: Final = 16

# Largest allowed difference from Keras, relative to the largest feature. Runtimes in float32 round
# and sum in another order, which makes about 1e-5; VGG16 in bfloat16 made 3e-3.
TOLERANCE: Final = 1e-3

BFLOAT16_TOLERANCE: Final = 2e-2

Images = npt.NDArray[np.float32]

Features = npt.NDArray[np.float32]


class FrozenBackbone:
    """Runs a network's frozen part; for one thread at a time.

    Args:
        backbone: images [n, 224, 224, 3] -> features, without a trainable layer.
        threads: how many cores LiteRT uses; TensorFlow has settings of its own.
        plain: whether to run on TensorFlow, in bfloat16 where that is faster, instead of on LiteRT
            in float32.

    Attributes:
        shape: of one row's features.
        digest: SHA-256 of the backbone's layers and values, hex; and the arithmetic, if it is not
            float32.

    Raises:
        WeightsError: the features differ from those that Keras computes.
    """

    def __init__(self, backbone: keras.Model, threads: int, plain: bool = False) -> None:
        self.shape: tuple[int, ...] = tuple(backbone.output_shape[1:])
        bfloat16 = plain and bfloat16_is_faster()
        self.digest = backbone_digest(backbone) + (" in bfloat16" if bfloat16 else "")
        self._run = _on_tensorflow(backbone) if plain else _OnLiteRT(backbone, threads)
        self._require_agreement(backbone, BFLOAT16_TOLERANCE if bfloat16 else TOLERANCE)

    def __call__(self, images: Images) -> Features:
        """Compute features.

        Args:
            images: float32 [n, 224, 224, 3] in 0 to 255; fastest with n = `BATCH`.

        Returns:
            float32 [n, *shape].
        """
        return self._run(images)

    def _require_agreement(self, backbone: keras.Model, tolerance: float) -> None:
        noise = np.random.default_rng(0).uniform(0, 255, (BATCH, *backbone.input_shape[1:]))
        images = noise.astype(np.float32)
        expected = np.asarray(backbone(images, training=False))
        difference = float(np.max(np.abs(self(images) - expected)))
        if not difference <= tolerance * float(np.max(np.abs(expected))):
            raise WeightsError(
                "The frozen layers compute other numbers in the fast pass than in Keras (off by "
                f"{difference}). Check the weight file; if it is intact, report this as a bug."
            )


def backbone_digest(backbone: keras.Model) -> str:
    """SHA-256 of a backbone's layers and values, hex."""
    total = hashlib.sha256()
    for layer in backbone.layers:
        total.update(layer.name.encode())
        for value in layer.get_weights():
            total.update(np.ascontiguousarray(value).tobytes())
    return total.hexdigest()


def _on_tensorflow(backbone: keras.Model) -> Callable[[Images], Features]:
    forward = tf.function(
        lambda images: backbone(images, training=False),
        input_signature=[tf.TensorSpec((None, *backbone.input_shape[1:]), tf.float32)],
    )

    def run(images: Images) -> Features:
        with in_bfloat16(True):
            features: Features = forward(images).numpy()
        return features

    return run


class _OnLiteRT:
    def __init__(self, backbone: keras.Model, threads: int) -> None:
        # The interpreter does not copy the model, so the bytes must stay in memory.
        self._model = _converted(backbone)
        with held_back():
            self._interpreter = Interpreter(model_content=self._model, num_threads=threads)
            self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._output = self._interpreter.get_output_details()[0]["index"]
        self._rows = BATCH

    def __call__(self, images: Images) -> Features:
        if len(images) != self._rows:
            self._interpreter.resize_tensor_input(self._input, images.shape)
            self._interpreter.allocate_tensors()
            self._rows = len(images)
        self._interpreter.set_tensor(self._input, images)
        self._interpreter.invoke()
        features: Features = self._interpreter.get_tensor(self._output)
        return features


def _converted(backbone: keras.Model) -> bytes:
    forward = tf.function(
        lambda images: backbone(images, training=False),
        input_signature=[tf.TensorSpec((BATCH, *backbone.input_shape[1:]), tf.float32)],
    )
    # The converter finds variables through a tf.Module. With a Keras model alone, it silently
    # leaves the weights out.
    tracked = tf.Module()
    tracked.values = [variable.value for variable in backbone.variables]
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [forward.get_concrete_function()], tracked
    )
    model: bytes = converter.convert()
    return model
