"""Decoding on a bounded number of threads, off the event loop."""

import asyncio
import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from lentigo_contract.errors import ServiceBusyError
from lentigo_contract.images import ImageLimits, ModelImage, read_image

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DecodedUpload:
    """An image as it came and as the network takes it.

    Attributes:
        image: pixels for the network, and what was found in the content.
        sha256: hex digest of the bytes that were sent.
    """

    image: ModelImage
    sha256: str


class DecodePool:
    """Threads for work on images that would hold up the event loop.

    Each thread holds at most one decoded image, so their number bounds memory as well as
    processor time. What waits for a thread is bounded by `admission`.
    """

    def __init__(self, threads: int, limits: ImageLimits) -> None:
        """Prepare; threads start when they are needed."""
        self._limits = limits
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="lentigo-decode")

    async def decode(self, data: bytes) -> DecodedUpload:
        """Read an image as training does, and take its digest.

        Raises:
            ImageError: as `lentigo_contract.images.read_image`.
            ServiceBusyError: there is no memory for it now.
        """
        return await self.run(lambda: self._decode(data))

    async def run(self, work: Callable[[], T]) -> T:
        """Run any work on one of the threads, and give what it gives."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def close(self) -> None:
        """End the threads after the work under way; what waits is dropped."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _decode(self, data: bytes) -> DecodedUpload:
        try:
            image = read_image(data, self._limits)
        except MemoryError as error:
            raise ServiceBusyError(
                "There is not enough memory for this image now. Try again later, or send a smaller "
                "one."
            ) from error
        return DecodedUpload(image, hashlib.sha256(data).hexdigest())
