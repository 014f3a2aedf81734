"""The one thread that runs and closes engines."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from lentigo_contract.errors import EngineError
from lentigo_contract.system.allocator import return_free_memory
from lentigo_engines.base import Images, Prediction
from lentigo_inference.serving.model_slot import LoadedModel


class EngineThread:
    """Runs and closes engines, one call at a time.

    A network uses all cores it may, so two at the same time slow each other down. Because closing
    happens on the same thread, no engine is closed during a call.
    """

    def __init__(self) -> None:
        """Prepare; the thread starts when needed."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="lentigo-engine")

    async def predict(self, model: LoadedModel, images: Sequence[Images]) -> Prediction:
        """Run the model on several uint8 [224, 224, 3]; return as many rows.

        The caller holds a lease on the model. Raises what `Engine.predict` raises.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._thread, lambda: model.engine.predict(np.stack(images))
        )

    def in_turn(self, run: Callable[[], Prediction]) -> Prediction:
        """Run an engine that is not in use yet, after the calls submitted before; blocks.

        Raises what it raises, and EngineError once the service is stopping.
        """
        try:
            future = self._thread.submit(run)
        except RuntimeError as error:
            raise EngineError("The service is being stopped.") from error
        return future.result()

    def retire(self, model: LoadedModel) -> None:
        """Close a model after the calls submitted before, and free its memory."""

        def close() -> None:
            model.engine.close()
            return_free_memory()

        try:
            self._thread.submit(close)
        except RuntimeError:
            # The thread has ended, so no call is under way.
            close()

    def close(self) -> None:
        """Finish the submitted calls, and end the thread."""
        self._thread.shutdown(wait=True)
