"""The SavedModel behind LitServe, with its batching.

python benchmarks/rivals/litserve_server.py SAVED_MODEL PORT
"""

import base64
import io
import os
import sys
from typing import Any

import litserve
import numpy as np
import tensorflow as tf
from PIL import Image


class Lesions(litserve.LitAPI):
    """Base64 in JSON, as LitServe's own examples send images."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - LitServe's signature
        """Load, and keep the module that the signature belongs to."""
        self._module = tf.saved_model.load(os.environ["LENTIGO_SAVED_MODEL"])
        self._run = self._module.signatures["serving_default"]

    def decode_request(self, request: dict[str, str]) -> Any:  # noqa: ANN401
        """Give uint8 [224, 224, 3]."""
        image = Image.open(io.BytesIO(base64.b64decode(request["image"])))
        return np.asarray(image.convert("RGB").resize((224, 224)))

    def batch(self, inputs: list[Any]) -> Any:  # noqa: ANN401
        """Stack."""
        return np.stack(inputs)

    def predict(self, x: Any) -> Any:  # noqa: ANN401
        """Run the network on n images."""
        return self._run(image=tf.constant(x))["probabilities"].numpy()

    def unbatch(self, output: Any) -> list[Any]:  # noqa: ANN401
        """Take apart."""
        return list(output)

    def encode_response(self, output: Any) -> dict[str, list[float]]:  # noqa: ANN401
        """Give the seven probabilities."""
        return {"probabilities": output.tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(Lesions(max_batch_size=8, batch_timeout=0.005), accelerator="cpu")
    server.run(
        host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning"
    )
