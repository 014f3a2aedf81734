"""From the bytes of an image to a diagnosis, whatever protocol they came by."""

from dataclasses import dataclass

import numpy as np

from lentigo_contract.errors import EngineError
from lentigo_contract.labels import CODES
from lentigo_inference.activation_map import draw_map
from lentigo_inference.decoding import DecodedUpload, DecodePool
from lentigo_inference.engine import Floats
from lentigo_inference.inference_thread import InferenceThread
from lentigo_inference.slot import LoadedModel, ModelSlot


@dataclass(frozen=True, slots=True)
class DrawnMap:
    """The activation map of one diagnosis code, as a PNG."""

    code: str
    png: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What one model says of one image.

    Attributes:
        model: the version that answered.
        upload: the image it saw.
        probabilities: float32 [7], in `labels.CODES` order.
        activation_map: of the most probable diagnosis, if it was asked for.
    """

    model: LoadedModel
    upload: DecodedUpload
    probabilities: Floats
    activation_map: DrawnMap | None = None


class Predictor:
    """Decodes, runs the model in use and, if asked, draws what it saw."""

    def __init__(self, slot: ModelSlot, decoding: DecodePool, inference: InferenceThread) -> None:
        """Bring the parts together."""
        self._slot = slot
        self._decoding = decoding
        self._inference = inference

    async def predict(self, data: bytes, *, explain: bool = False) -> Answer:
        """Answer for one image with one version, from beginning to end.

        Raises:
            NotReadyError: no model is loaded.
            ImageError: the image cannot be used.
            ServiceBusyError: there is no memory for the image now.
            EngineError: the runtime failed, or gave numbers that are not finite.
        """
        with self._slot.lease() as model:
            upload = await self._decoding.decode(data)
            prediction = await self._inference.predict(model, upload.image)
        probabilities = _finite(prediction.probabilities[0], model)
        if not explain:
            return Answer(model, upload, probabilities)
        top = int(probabilities.argmax())
        activation = _finite(prediction.activation_map[0, :, :, top], model)
        png = await self._decoding.run(lambda: draw_map(activation))
        return Answer(model, upload, probabilities, DrawnMap(CODES[top], png))


def _finite(values: Floats, model: LoadedModel) -> Floats:
    """Let no number through that JSON or a picture could not hold."""
    if not np.isfinite(values).all():
        raise EngineError(f"Version {model.version} gave numbers that are not finite.")
    return values
