"""The one thread that runs engines.

Memory that was freed, given back to the system.
"""

import asyncio
import ctypes
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np

from lentigo_contract.errors import EngineError
from lentigo_inference.engines.base import Images, Prediction
from lentigo_inference.serving.model_slot import LoadedModel


def return_free_memory() -> None:
    """Have the C library let go of what it keeps for later; takes a few milliseconds.

    glibc keeps freed memory in an arena for each thread. Models come and go in large pieces and in
    several threads, so over many reloads it would keep one model's worth too much. Does nothing
    where the C library has no `malloc_trim` (man 3 malloc_trim).
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)


class EngineThread:
    """Runs and closes engines, one call at a time.

    A network uses every core it is given, so a second one beside it makes both slower. Because
    closing happens on the same thread, no engine is ever closed under a call.
    """

    def __init__(self) -> None:
        """Prepare; the thread starts when it is needed."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="lentigo-engine")

    async def predict(self, model: LoadedModel, images: Sequence[Images]) -> Prediction:
        """Run the model on several uint8 [224, 224, 3], and give as many rows.

        Somebody holds a lease on the model when this is called. Raises what `Engine.predict`
        raises.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._thread, lambda: model.engine.predict(np.stack(images))
        )

    def in_turn(self, run: Callable[[], Prediction]) -> Prediction:
        """Run an engine that is in no slot yet, after what was asked for before; blocks.

        Raises what it raises, and EngineError once the service is being stopped.
        """
        try:
            waiting = self._thread.submit(run)
        except RuntimeError as error:
            raise EngineError("The service is being stopped.") from error
        return waiting.result()

    def retire(self, model: LoadedModel) -> None:
        """Close a model after the calls that were asked for before, and free its memory."""

        def close() -> None:
            model.engine.close()
            return_free_memory()

        try:
            self._thread.submit(close)
        except RuntimeError:
            # The thread has ended, so no call can be under way.
            close()

    def close(self) -> None:
        """Finish what was asked for, and end."""
        self._thread.shutdown(wait=True)
