"""Decoding of images on a bounded number of threads and in bounded memory, off the event loop.

Small images, as nearly all are, are decoded as soon as a thread is free. Large ones go to threads
of their own, so that no small image waits behind them, and wait there until there is memory. So do
descriptions, which take longer than decoding.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from lentigo_contract.imaging.quality import QualityIssue, assess_quality
from lentigo_contract.imaging.read import ImageLimits, ModelImage, OpenedImage, open_image
from lentigo_contract.system.allocator import return_free_memory
from lentigo_contract.system.priority import lower_priority
from lentigo_inference.errors import ServiceBusyError
from lentigo_inference.observability.records import DecodeTimes, RequestRecord, Step
from lentigo_inference.serving.limits.memory_budget import MemoryBudget

T = TypeVar("T")

# An image that needs no more is decoded at once: four million pixels of a PNG, or a JPEG of any
# size that is not progressive.
_MOST_FOR_SMALL: Final = 16 * 2**20

# All small images together need at most this part of the memory.
_SMALL_PART: Final = 2

# Large images that may wait, at least. Each holds one of the places for predictions that small ones
# need too.
_LARGE_WAITING: Final = 8

# Beyond that of small ones. A large image gets a third of a core beside a busy thread, and all of
# an idle one.
_LARGE_NICENESS: Final = 5

_NO_MEMORY: Final = (
    "There is not enough memory for this image now. Try again later, or send a smaller one."
)


@dataclass(frozen=True, slots=True)
class DecodedUpload:
    """An uploaded image, decoded for the network.

    Attributes:
        image: pixels for the network, and the properties of the file.
        sha256: hex digest of the bytes that were sent.
        issues: why it cannot be judged, as far as its pixels show.
        brightness: see `imaging.quality.ImageQuality`.
        sharpness: likewise.
    """

    image: ModelImage
    sha256: str
    issues: tuple[QualityIssue, ...]
    brightness: float
    sharpness: float


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """How much is decoded at the same time.

    Attributes:
        threads: small images decoded at the same time.
        memory: bytes that all images may take together while they are decoded.
    """

    threads: int
    memory: int

    @property
    def small(self) -> int:
        """Bytes up to which an image counts as small."""
        return min(_MOST_FOR_SMALL, self.memory // (_SMALL_PART * self.threads))

    @property
    def large(self) -> int:
        """Bytes that large images may take together, and so one of them by itself."""
        return self.memory - self.small * self.threads

    def of_image(self, limits: ImageLimits) -> ImageLimits:
        """Return the limits of an image: one that needs more memory than there is is refused."""
        return replace(limits, max_memory=self.large)

    @property
    def large_threads(self) -> int:
        """Large images decoded at the same time."""
        return max(1, self.threads // 2)

    @property
    def large_waiting(self) -> int:
        """Large images that may wait: as many as one batch request decodes at a time, or more."""
        return max(_LARGE_WAITING, self.threads)


def decode_opened(opened: OpenedImage, sha256: str) -> DecodedUpload:
    """Decode an image whose header was read, and check its quality.

    Args:
        opened: the image.
        sha256: hex digest of its bytes.

    Raises:
        ImageError: as `lentigo_contract.imaging.read.read_image`.
    """
    image = opened.read()
    quality = assess_quality(image.pixels, image.width, image.height)
    return DecodedUpload(image, sha256, quality.issues, quality.brightness, quality.sharpness)


class DecodePool:
    """Threads for work on images that would block the event loop.

    `admission` bounds the work that waits for a thread.
    """

    def __init__(
        self,
        limits: DecodeLimits,
        image_limits: ImageLimits,
        observe: Callable[[DecodeTimes], None] = lambda _times: None,
    ) -> None:
        """Prepare a pool; threads start when needed.

        Args:
            limits: how much is decoded at the same time.
            image_limits: what is accepted; one that cannot be decoded in the memory never is.
            observe: gets the times of every image.
        """
        self._limits = limits
        self._image_limits = limits.of_image(image_limits)
        self._observe = observe
        self._budget = MemoryBudget(limits.large, limits.large_waiting)
        self._threads = ThreadPoolExecutor(limits.threads, thread_name_prefix="lentigo-decode")
        self._describe_threads = ThreadPoolExecutor(
            limits.threads, thread_name_prefix="lentigo-describe"
        )
        self._large_threads = ThreadPoolExecutor(
            limits.large_threads,
            thread_name_prefix="lentigo-decode-large",
            initializer=lower_priority,
            initargs=(_LARGE_NICENESS,),
        )

    async def decode(self, data: bytes, record: RequestRecord | None = None) -> DecodedUpload:
        """Read an image as training does, check its quality and compute its digest.

        The record gets the digest and the time also of an image that cannot be read.

        Raises:
            ImageError: as `lentigo_contract.imaging.read.read_image`.
            ServiceBusyError: there is not enough memory for it now, or too many large images wait.
        """
        work = _Decoding(data, record or RequestRecord(), self._observe)
        opened = await self.run(lambda: work.begin(self._image_limits, self._limits.small))
        if isinstance(opened, DecodedUpload):
            return opened
        return await self._decode_large(work, opened)

    async def run(self, work: Callable[[], T]) -> T:
        """Run any work on one of the threads, and return its result."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def describe(self, work: Callable[[], T]) -> T:
        """Run work that takes so long that no image may wait behind it."""
        return await asyncio.get_running_loop().run_in_executor(self._describe_threads, work)

    async def _decode_large(self, work: "_Decoding", opened: OpenedImage) -> DecodedUpload:
        await self._budget.acquire(opened.memory)
        loop = asyncio.get_running_loop()

        def give_back(_done: object) -> None:
            # A loop that has closed has no budget either.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._budget.release, opened.memory)

        # The memory is in use until the thread has finished, also if nobody waits for it any more.
        decoding = self._large_threads.submit(work.finish, opened)
        decoding.add_done_callback(give_back)
        return await asyncio.wrap_future(decoding)

    def close(self) -> None:
        """End the threads after the work under way; waiting work is dropped."""
        for threads in (self._large_threads, self._describe_threads, self._threads):
            threads.shutdown(wait=True, cancel_futures=True)


class _Decoding:
    """The decoding of one image, in one step or two."""

    def __init__(
        self, data: bytes, record: RequestRecord, observe: Callable[[DecodeTimes], None]
    ) -> None:
        self._data = data
        self._record = record
        self._observe = observe
        self._submitted = time.monotonic()
        # Several images of a batch share one record, so its digest may be another image's.
        self._digest = ""

    def begin(self, limits: ImageLimits, small: int) -> DecodedUpload | OpenedImage:
        """Decode a small image, and read the header of a large one."""
        started = time.monotonic()
        self._digest = hashlib.sha256(self._data).hexdigest()
        self._record.image_sha256 = self._digest
        opened: OpenedImage | None = None
        try:
            opened = open_image(self._data, limits)
            if opened.memory > small:
                return opened
        except MemoryError as error:
            raise ServiceBusyError(_NO_MEMORY) from error
        finally:
            if opened is None:
                self._note(started)
        return self._read(opened, started)

    def finish(self, opened: OpenedImage) -> DecodedUpload:
        """Decode a large image."""
        try:
            return self._read(opened, time.monotonic())
        finally:
            return_free_memory()

    def _read(self, opened: OpenedImage, started: float) -> DecodedUpload:
        try:
            return decode_opened(opened, self._digest)
        except MemoryError as error:
            raise ServiceBusyError(_NO_MEMORY) from error
        finally:
            self._note(started)

    def _note(self, started: float) -> None:
        step = Step("decode", started, time.monotonic())
        self._record.steps.append(step)
        self._observe(DecodeTimes(started - self._submitted, step.seconds))
