"""The one thread that runs engines."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from lentigo_contract.images import ModelImage
from lentigo_inference.engine import Prediction
from lentigo_inference.slot import LoadedModel


class InferenceThread:
    """Runs and closes engines, one call at a time.

    A network uses every core it is given, so a second one beside it makes both slower. Because
    closing happens on the same thread, no engine is ever closed under a call.
    """

    def __init__(self) -> None:
        """Prepare; the thread starts when it is needed."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="lentigo-engine")

    async def predict(self, model: LoadedModel, image: ModelImage) -> Prediction:
        """Run the model on one image; n is 1 in what comes back.

        The caller holds a lease on the model. Raises what `Engine.predict` raises.
        """
        loop = asyncio.get_running_loop()
        images = image.pixels[None]
        return await loop.run_in_executor(self._thread, model.engine.predict, images)

    def retire(self, model: LoadedModel) -> None:
        """Close a model after the calls that were asked for before."""
        self._thread.submit(model.engine.close)

    def close(self) -> None:
        """Finish what was asked for, and end."""
        self._thread.shutdown(wait=True)
