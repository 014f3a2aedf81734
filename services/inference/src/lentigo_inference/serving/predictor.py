"""Predicts: from the bytes or pixels of an image to its diagnosis, for every protocol."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final, TypeVar

import numpy as np

from lentigo_contract.errors import LentigoError
from lentigo_engines.base import Images, Prediction
from lentigo_inference.errors import DeadlineExceededError
from lentigo_inference.observability.records import RequestRecord
from lentigo_inference.serving.activation_map import draw_maps
from lentigo_inference.serving.batcher import Batcher
from lentigo_inference.serving.decoding import DecodedUpload, DecodePool
from lentigo_inference.serving.description import NOT_READY, describe_upload
from lentigo_inference.serving.judgement import (
    PredictionOptions,
    PredictionResult,
    judge,
    quality_of,
    require_finite,
)
from lentigo_inference.serving.model_slot import LoadedModel, ModelSlot

T = TypeVar("T")

_DEFAULT_OPTIONS: Final = PredictionOptions()

_TO_ANSWER_S: Final = 0.2
"""Seconds before the deadline when a prediction no longer waits for its description."""


class Predictor:
    """Decodes images, runs the model in use and, on request, draws its activation maps."""

    def __init__(
        self,
        slot: ModelSlot,
        decoding: DecodePool,
        batcher: Batcher,
        timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
        observe: Callable[[Sequence[int]], None] = lambda _diagnoses: None,
        on_work: Callable[[bool], None] | None = None,
    ) -> None:
        """Connect the parts.

        Args:
            slot: holds the model in use.
            decoding: the threads for images.
            batcher: leads to the engine.
            timeout_s: time limit of a request, from its last byte to its result, in seconds.
            clock: the clock of the batcher.
            observe: called with the class numbers of the diagnoses of every prediction.
            on_work: called with True when there is work again, and with False when none is left.
        """
        self._slot = slot
        self._decoding = decoding
        self._batcher = batcher
        self._timeout_s = timeout_s
        self._clock = clock
        self._observe = observe
        self._on_work = on_work
        self._under_way = 0

    async def predict(
        self,
        data: bytes,
        options: PredictionOptions = _DEFAULT_OPTIONS,
        record: RequestRecord | None = None,
    ) -> PredictionResult:
        """Predict for one image with one version, and fill in the record.

        For an image that cannot be judged, the result says so and has no probabilities, unless the
        options force a prediction.

        Raises:
            NotReadyError: no model is loaded.
            ImageError: the image cannot be used.
            ServiceBusyError: the queue is full, or there is no memory for the image now.
            DeadlineExceededError: there was no result in time.
            EngineError: the runtime failed, or returned numbers that are not finite.
        """
        async with self._time_limit() as deadline:
            with self._slot.lease() as model:
                record = _start_record(record, model)
                return await self._predict_one(model, data, options, deadline, record)

    async def predict_each(
        self,
        uploads: Sequence[bytes],
        options: PredictionOptions = _DEFAULT_OPTIONS,
        *,
        at_once: int = 1,
        record: RequestRecord | None = None,
    ) -> list[PredictionResult | LentigoError]:
        """Predict for several images with one version, in their order, and fill in the record.

        An image that fails has its error in its place. At most `at_once` images are decoded or wait
        for the engine together, so that other requests get their turn.

        Raises:
            NotReadyError: no model is loaded.
        """
        turn = asyncio.Semaphore(at_once)

        async with self._time_limit() as deadline:
            with self._slot.lease() as model:
                record = _start_record(record, model, len(uploads))

                async def one(data: bytes) -> PredictionResult | LentigoError:
                    try:
                        async with turn:
                            return await self._predict_one(model, data, options, deadline, record)
                    except LentigoError as error:
                        return error

                return await asyncio.gather(*(one(data) for data in uploads))

    async def infer(
        self,
        images: Sequence[Images],
        accept: Callable[[LoadedModel], None],
        record: RequestRecord | None = None,
    ) -> tuple[LoadedModel, Prediction]:
        """Run the model in use on pixels, without decoding.

        Args:
            images: uint8 [224, 224, 3] each, n of them.
            accept: raises if the model in use is not the requested one.
            record: is filled in.

        Returns:
            The model, and its prediction for the n images.

        Raises:
            NotReadyError: no model is loaded.
            ServiceBusyError: the queue is full.
            DeadlineExceededError: there was no result in time.
            EngineError: the runtime failed, or returned numbers that are not finite.
        """
        async with self._time_limit() as deadline:
            with self._slot.lease() as model:
                accept(model)
                record = _start_record(record, model, len(images))
                rows = await self._batcher.predict(model, images, deadline, record.steps.append)
        columns = map(np.concatenate, zip(*(row.tensors for row in rows), strict=True))
        answer = Prediction(*(require_finite(values, model) for values in columns))
        self._observe(model.rule.diagnoses(answer.probabilities))
        return model, answer

    async def aside(self, work: Callable[[], T]) -> T:
        """Run work that would block the event loop on the threads for images."""
        return await self._decoding.run(work)

    async def _predict_one(
        self,
        model: LoadedModel,
        data: bytes,
        options: PredictionOptions,
        deadline: float,
        record: RequestRecord,
    ) -> PredictionResult:
        upload = await self._decoding.decode(data, record)
        if not options.describe:
            return await self._judge(model, upload, options, deadline, record)
        # Beside the network, which it knows nothing of.
        describing = asyncio.ensure_future(
            self._decoding.describe(lambda: describe_upload(upload, record, force=options.force))
        )
        try:
            result = await self._judge(model, upload, options, deadline, record)
            rest_s = deadline - self._clock() - _TO_ANSWER_S
            await asyncio.wait([describing], timeout=max(0.0, rest_s))
            described = describing.result() if describing.done() else NOT_READY
            return replace(result, description=described)
        finally:
            describing.cancel()

    async def _judge(
        self,
        model: LoadedModel,
        upload: DecodedUpload,
        options: PredictionOptions,
        deadline: float,
        record: RequestRecord,
    ) -> PredictionResult:
        if upload.issues and not options.force:
            # The result would be withheld, so the network does not run.
            record.unaccepted += upload.issues
            return PredictionResult(model, upload, quality_of(upload.issues, None, None))
        (prediction,) = await self._batcher.predict(
            model, [upload.image.pixels], deadline, record.steps.append
        )
        quality, decision = judge(model, prediction, upload.issues, force=options.force)
        record.unaccepted += quality.reasons
        if decision is None:
            return PredictionResult(model, upload, quality)
        self._observe([decision.diagnosis])
        if options.explain == "none":
            return PredictionResult(model, upload, quality, decision)
        activation = require_finite(prediction.activation_map[0], model)
        chosen = decision.ranked if options.explain == "all" else (decision.diagnosis,)
        maps = await self._decoding.run(lambda: draw_maps(activation, chosen))
        return PredictionResult(model, upload, quality, decision, maps)

    @asynccontextmanager
    async def _time_limit(self) -> AsyncIterator[float]:
        """Cancel the work inside at the deadline, which it yields as a reading of the clock.

        Work that waits for a thread or for the engine then costs nothing.
        """
        self._count(1)
        try:
            async with asyncio.timeout(self._timeout_s):
                yield self._clock() + self._timeout_s
        except TimeoutError as error:
            raise DeadlineExceededError(
                f"There was no answer within {self._timeout_s:g} seconds, because the service is "
                "busy. Try again after the given delay."
            ) from error
        finally:
            self._count(-1)

    def _count(self, requests: int) -> None:
        before, self._under_way = self._under_way, self._under_way + requests
        if self._on_work is not None and bool(before) != bool(self._under_way):
            self._on_work(bool(self._under_way))


def _start_record(
    record: RequestRecord | None, model: LoadedModel, images: int | None = None
) -> RequestRecord:
    """Return the record of the request, with the model and the number of images."""
    record = record or RequestRecord()
    record.model_version, record.images = model.version, images
    record.engine = model.engine.name
    return record
