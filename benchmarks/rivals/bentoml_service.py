"""The SavedModel behind BentoML, with its adaptive batching.

LENTIGO_SAVED_MODEL=DIR bentoml serve benchmarks/rivals/bentoml_service.py:Lesions --port PORT
"""

import os
from typing import Any

import bentoml
import numpy as np
import tensorflow as tf
from PIL.Image import Image


@bentoml.service(workers=1, traffic={"timeout": 60})
class Lesions:
    """One worker, so one copy of the model, as the others have."""

    def __init__(self) -> None:
        """Load, and keep the module that the signature belongs to."""
        self._module = tf.saved_model.load(os.environ["LENTIGO_SAVED_MODEL"])
        self._run = self._module.signatures["serving_default"]

    @bentoml.api(batchable=True, max_batch_size=8, max_latency_ms=60_000)
    def predict(self, image: list[Image]) -> list[Any]:
        """Run the network on n images."""
        pixels = np.stack([np.asarray(each.convert("RGB").resize((224, 224))) for each in image])
        return self._run(image=tf.constant(pixels))["probabilities"].numpy().tolist()
