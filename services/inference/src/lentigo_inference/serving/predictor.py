"""Predicts: from the bytes or pixels of an image to its diagnosis, for every protocol."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

import numpy as np

from lentigo_contract.errors import EngineError, LentigoError
from lentigo_contract.imaging.quality import QualityIssue, Reason
from lentigo_contract.manifest.manifest import OodThreshold
from lentigo_inference.engines.base import Floats, Images, Prediction
from lentigo_inference.errors import DeadlineExceededError
from lentigo_inference.observability.records import RequestRecord
from lentigo_inference.serving.activation_map import DrawnMap, draw_maps
from lentigo_inference.serving.batcher import Batcher
from lentigo_inference.serving.decoding import DecodedUpload, DecodePool
from lentigo_inference.serving.model_slot import LoadedModel, ModelSlot

Explain = Literal["none", "top", "all"]
"""Which activation maps are drawn: none, that of the most probable diagnosis, or all seven."""


@dataclass(frozen=True, slots=True)
class PredictionOptions:
    """What is asked for besides a diagnosis.

    Attributes:
        explain: which activation maps.
        force: whether an image is answered that cannot be judged.
    """

    explain: Explain = "none"
    force: bool = False


@dataclass(frozen=True, slots=True)
class Quality:
    """Whether an image can be judged.

    Attributes:
        reasons: why it cannot; none if it can.
        unlikeness: how unlike the training images it is, 0 and above; None if nobody computed it.
    """

    reasons: tuple[Reason, ...] = ()
    unlikeness: float | None = None

    @property
    def accepted(self) -> bool:
        """Whether there is no reason against it."""
        return not self.reasons


@dataclass(frozen=True, slots=True)
class PredictionResult:
    """What one model says of one image.

    Attributes:
        model: the version that answered.
        upload: the image it saw.
        quality: whether the image can be judged.
        probabilities: float32 [7], in `labels.CODES` order; None if the answer is withheld,
            because the image cannot be judged and nobody forced one.
        activation_maps: those that were asked for, the most probable diagnosis first.
    """

    model: LoadedModel
    upload: DecodedUpload
    quality: Quality
    probabilities: Floats | None = None
    activation_maps: tuple[DrawnMap, ...] = ()


def quality_of(
    flaws: tuple[QualityIssue, ...], unlikeness: float | None, limit: OodThreshold | None
) -> Quality:
    """Take what the pixels and the network say together.

    Args:
        flaws: of the pixels.
        unlikeness: what the network says, if it was asked and tells.
        limit: of the version, if it has one.
    """
    unlike = unlikeness is not None and limit is not None and unlikeness > limit.limit
    return Quality((*flaws, "unlike-training-images") if unlike else flaws, unlikeness)


T = TypeVar("T")

_PLAIN: Final = PredictionOptions()


class Predictor:
    """Decodes, runs the model in use and, if asked, draws what it saw."""

    def __init__(
        self,
        slot: ModelSlot,
        decoding: DecodePool,
        batcher: Batcher,
        timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
        observe: Callable[[Floats], None] = lambda _probabilities: None,
    ) -> None:
        """Bring the parts together.

        Args:
            slot: holds the model in use.
            decoding: threads for images.
            batcher: the way to the engine.
            timeout_s: what a request has from its last byte to its answer, in seconds.
            clock: the batcher's.
            observe: told the probabilities, float32 [n, 7], of every answer.
        """
        self._slot = slot
        self._decoding = decoding
        self._batcher = batcher
        self._timeout_s = timeout_s
        self._clock = clock
        self._observe = observe

    async def predict(
        self, data: bytes, wanted: PredictionOptions = _PLAIN, record: RequestRecord | None = None
    ) -> PredictionResult:
        """Answer for one image with one version, from beginning to end; the record is filled.

        An image that cannot be judged gets an answer that says so and has nothing else, unless one
        is forced.

        Raises:
            NotReadyError: no model is loaded.
            ImageError: the image cannot be used.
            ServiceBusyError: the queue is full, or there is no memory for the image now.
            DeadlineExceededError: there was no answer in time.
            EngineError: the runtime failed, or gave numbers that are not finite.
        """
        async with self._time_limit() as deadline:
            with self._slot.lease() as model:
                record = _opened(record, model)
                return await self._answer(model, data, wanted, deadline, record)

    async def predict_each(
        self,
        uploads: Sequence[bytes],
        wanted: PredictionOptions = _PLAIN,
        *,
        at_once: int = 1,
        record: RequestRecord | None = None,
    ) -> list[PredictionResult | LentigoError]:
        """Answer for several images with one version, in their order; the record is filled.

        An image that fails leaves its error in its place. No more than `at_once` of them are
        decoded or wait for the engine together, so that others get their turn.

        Raises:
            NotReadyError: no model is loaded.
        """
        turn = asyncio.Semaphore(at_once)

        async with self._time_limit() as deadline:
            with self._slot.lease() as model:
                record = _opened(record, model, len(uploads))

                async def one(data: bytes) -> PredictionResult | LentigoError:
                    try:
                        async with turn:
                            return await self._answer(model, data, wanted, deadline, record)
                    except LentigoError as error:
                        return error

                return await asyncio.gather(*(one(data) for data in uploads))

    async def infer(
        self,
        images: Sequence[Images],
        accept: Callable[[LoadedModel], None],
        record: RequestRecord | None = None,
    ) -> tuple[LoadedModel, Prediction]:
        """Run the model in use on pixels as they are.

        Args:
            images: uint8 [224, 224, 3] each, n of them.
            accept: raises if the model in use is not the one that was asked for.
            record: is filled.

        Returns:
            The model, and its answer for the n images.

        Raises:
            NotReadyError: no model is loaded.
            ServiceBusyError: the queue is full.
            DeadlineExceededError: there was no answer in time.
            EngineError: the runtime failed, or gave numbers that are not finite.
        """
        async with self._time_limit() as deadline:
            with self._slot.lease() as model:
                accept(model)
                record = _opened(record, model, len(images))
                rows = await self._batcher.predict(model, images, deadline, record.steps.append)
        joined = map(np.concatenate, zip(*(row.tensors for row in rows), strict=True))
        answer = Prediction(*(_finite(values, model) for values in joined))
        self._observe(answer.probabilities)
        return model, answer

    async def aside(self, work: Callable[[], T]) -> T:
        """Run work on a request that would hold up the event loop, on the threads for images."""
        return await self._decoding.run(work)

    async def _answer(
        self,
        model: LoadedModel,
        data: bytes,
        wanted: PredictionOptions,
        deadline: float,
        record: RequestRecord,
    ) -> PredictionResult:
        upload = await self._decoding.decode(data, record)
        if upload.flaws and not wanted.force:
            # Nobody is told what the network says of it, so it is not asked.
            record.unaccepted += upload.flaws
            return PredictionResult(model, upload, quality_of(upload.flaws, None, None))
        (prediction,) = await self._batcher.predict(
            model, [upload.image.pixels], deadline, record.steps.append
        )
        probabilities = _finite(prediction.probabilities[0], model)
        unlikeness = None
        if prediction.unlikeness is not None:
            unlikeness = float(_finite(prediction.unlikeness, model)[0])
        quality = quality_of(upload.flaws, unlikeness, model.stored.manifest.unlikeness)
        record.unaccepted += quality.reasons
        if not (quality.accepted or wanted.force):
            return PredictionResult(model, upload, quality)
        self._observe(prediction.probabilities)
        if wanted.explain == "none":
            return PredictionResult(model, upload, quality, probabilities)
        # A stable sort, so equal probabilities stay in the order of the labels.
        ranked = np.argsort(-probabilities, kind="stable").tolist()
        activation = _finite(prediction.activation_map[0], model)
        chosen = ranked if wanted.explain == "all" else ranked[:1]
        drawn = await self._decoding.run(lambda: draw_maps(activation, chosen))
        return PredictionResult(model, upload, quality, probabilities, drawn)

    @asynccontextmanager
    async def _time_limit(self) -> AsyncIterator[float]:
        """End the work inside when the time of a request is over; gives the clock's reading then.

        What waits for a thread or for the engine is cancelled there and costs nothing.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                yield self._clock() + self._timeout_s
        except TimeoutError as error:
            raise DeadlineExceededError(
                f"There was no answer within {self._timeout_s:g} seconds, because the service is "
                "busy. Try again after the given delay."
            ) from error


def _opened(
    record: RequestRecord | None, model: LoadedModel, images: int | None = None
) -> RequestRecord:
    """Begin a record of what this model answers."""
    record = record or RequestRecord()
    record.model_version, record.images = model.version, images
    return record


def _finite(values: Floats, model: LoadedModel) -> Floats:
    """Let no number through that JSON or a picture could not hold."""
    if not np.isfinite(values).all():
        raise EngineError(f"Version {model.version} gave numbers that are not finite.")
    return values
