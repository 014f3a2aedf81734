"""Decoding of images on a bounded number of threads, off the event loop."""

import asyncio
import hashlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from lentigo_contract.imaging.quality import QualityIssue, quality_issues
from lentigo_contract.imaging.read import ImageLimits, ModelImage, read_image
from lentigo_inference.errors import ServiceBusyError
from lentigo_inference.observability.records import DecodeTimes, RequestRecord, Step

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DecodedUpload:
    """An uploaded image, decoded for the network.

    Attributes:
        image: pixels for the network, and the properties of the file.
        sha256: hex digest of the bytes that were sent.
        issues: why it cannot be judged, as far as its pixels show.
    """

    image: ModelImage
    sha256: str
    issues: tuple[QualityIssue, ...]


class DecodePool:
    """Threads for work on images that would block the event loop.

    Each thread holds at most one decoded image, so their number bounds memory as well as processor
    time. `admission` bounds the work that waits for a thread.
    """

    def __init__(
        self,
        threads: int,
        limits: ImageLimits,
        observe: Callable[[DecodeTimes], None] = lambda _times: None,
    ) -> None:
        """Prepare a pool; threads start when needed. `observe` gets the times of every image."""
        self._limits = limits
        self._observe = observe
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="lentigo-decode")

    async def decode(self, data: bytes, record: RequestRecord | None = None) -> DecodedUpload:
        """Read an image as training does, check its quality and compute its digest.

        The record gets the digest and the time also of an image that cannot be read.

        Raises:
            ImageError: as `lentigo_contract.imaging.read.read_image`.
            ServiceBusyError: there is not enough memory for it now.
        """
        submitted = time.monotonic()
        return await self.run(lambda: self._timed(data, record or RequestRecord(), submitted))

    async def run(self, work: Callable[[], T]) -> T:
        """Run any work on one of the threads, and return its result."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def close(self) -> None:
        """End the threads after the work under way; waiting work is dropped."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _timed(self, data: bytes, record: RequestRecord, submitted: float) -> DecodedUpload:
        started = time.monotonic()
        try:
            return self._decode(data, record)
        finally:
            step = Step("decode", started, time.monotonic())
            record.steps.append(step)
            self._observe(DecodeTimes(started - submitted, step.seconds))

    def _decode(self, data: bytes, record: RequestRecord) -> DecodedUpload:
        digest = hashlib.sha256(data).hexdigest()
        record.image_sha256 = digest
        try:
            image = read_image(data, self._limits)
        except MemoryError as error:
            raise ServiceBusyError(
                "There is not enough memory for this image now. Try again later, or send a smaller "
                "one."
            ) from error
        return DecodedUpload(image, digest, quality_issues(image.pixels, image.width, image.height))
