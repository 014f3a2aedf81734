"""Scores tasks with one model: fetch, decode, judge, exactly as the service does.

The same in every worker, a process of this machine or an actor of a cluster. Several threads may
call `Scorer.score`: while one computes, the others fetch.
"""

import hashlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from lentigo_contract.errors import EngineError, LentigoError, UntrustedVersionError
from lentigo_contract.imaging.read import ImageLimits, open_image
from lentigo_contract.manifest.engines import EngineName
from lentigo_contract.repository.store import ModelStore
from lentigo_contract.system.allocator import return_free_memory
from lentigo_engines.base import Images, Prediction
from lentigo_inference.engines.selection import EngineLoader, engine_loader
from lentigo_inference.scoring.fetching import Fetcher
from lentigo_inference.scoring.items import Item, Task, Url
from lentigo_inference.scoring.rows import Row, answered_row, failed_row
from lentigo_inference.serving.decision import DecisionPolicy
from lentigo_inference.serving.decoding import DecodedUpload, decode_opened
from lentigo_inference.serving.judgement import PredictionResult, judge, quality_of
from lentigo_inference.serving.loading import LoadOptions, load_version
from lentigo_inference.serving.model_slot import LoadedModel

# One core: a machine with more has as many workers.
ENGINE_THREADS: Final = 1

# URLs of one task that are fetched at the same time.
_FETCHES: Final = 8


@dataclass(frozen=True, slots=True)
class ScoringModel:
    """Which model scores, and how.

    Attributes:
        version: its number.
        manifest_sha256: hex digest of its manifest; another one is refused.
        engine: that runs it.
        policy: how the operator wants it to decide.
    """

    version: int
    manifest_sha256: str
    engine: EngineName
    policy: DecisionPolicy


@dataclass(frozen=True, slots=True)
class ScoringLimits:
    """What an image may take; the service's, from the same settings.

    Attributes:
        image: bytes, pixels and memory of an image.
        small: bytes of memory above which an image is decoded while no other one is.
        batch: images that the engine gets at the same time.
        timeout_s: for fetching an image, in seconds.
    """

    image: ImageLimits
    small: int
    batch: int
    timeout_s: float


def load_scoring_model(
    root: Path, model: ScoringModel, load: EngineLoader | None = None
) -> LoadedModel:
    """Load the model of a run.

    Args:
        root: of the model repository.
        model: which one.
        load: loads the engine; by default the one that the model names, with one thread.

    Raises:
        RepositoryError: the version is missing, damaged, or another one than at the start.
        EngineError: the runtime cannot load or run it.
    """
    loaded = load_version(
        ModelStore(root),
        model.version,
        load or engine_loader(ENGINE_THREADS, model.engine),
        LoadOptions(policy=model.policy),
    )
    if loaded.manifest_sha256 != model.manifest_sha256:
        loaded.engine.close()
        raise UntrustedVersionError(
            f"Version {model.version} is not the one that this run began with. Put that one back."
        )
    return loaded


class Scorer:
    """Scores tasks with a loaded model. Any thread may use it."""

    def __init__(self, model: LoadedModel, limits: ScoringLimits) -> None:
        """Take a model, which stays loaded as long as this lives."""
        self._model = model
        self._limits = limits
        self._fetcher = Fetcher(limits.image.max_bytes, limits.timeout_s)
        self._fetches = ThreadPoolExecutor(_FETCHES, thread_name_prefix="lentigo-fetch")
        self._turn = threading.Lock()

    def score(self, task: Task) -> list[Row]:
        """Return the row of every image, in the order of the task; never raises for an image."""
        rows: list[Row] = []
        for start in range(0, len(task.items), self._limits.batch):
            # A few at a time, so that large images do not pile up.
            fetched = self._fetch_all(task.items[start : start + self._limits.batch])
            with self._turn:
                rows += self._score_batch(fetched)
        return rows

    def _fetch_all(self, items: tuple[Item, ...]) -> list[tuple[Item, bytes | LentigoError]]:
        several = len(items) > 1 and any(isinstance(item.place, Url) for item in items)
        fetch = self._fetches.map if several else map
        return list(zip(items, fetch(self._fetch, items), strict=True))

    def _fetch(self, item: Item) -> bytes | LentigoError:
        try:
            return self._fetcher.fetch(item.place)
        except LentigoError as error:
            return error

    def _score_batch(self, fetched: list[tuple[Item, bytes | LentigoError]]) -> list[Row]:
        rows: dict[int, Row] = {}
        judged: list[tuple[Item, DecodedUpload]] = []
        for item, data in fetched:
            if not isinstance(data, bytes):
                rows[item.number] = failed_row(item, data)
                continue
            upload = self._decode(item, data)
            if isinstance(upload, Row):
                rows[item.number] = upload
            elif upload.issues:
                # As the service: the result would be withheld, so the network does not run.
                result = PredictionResult(
                    self._model, upload, quality_of(upload.issues, None, None)
                )
                rows[item.number] = answered_row(item, result)
            else:
                judged.append((item, upload))
        for (item, upload), prediction in zip(
            judged, self._predict([upload.image.pixels for _, upload in judged]), strict=True
        ):
            rows[item.number] = self._judge(item, upload, prediction)
        return [rows[item.number] for item, _ in fetched]

    def _decode(self, item: Item, data: bytes) -> DecodedUpload | Row:
        digest = hashlib.sha256(data).hexdigest()
        try:
            opened = open_image(data, self._limits.image)
            upload = decode_opened(opened, digest)
            if opened.memory > self._limits.small:
                return_free_memory()
        except LentigoError as error:
            return failed_row(item, error, digest)
        return upload

    def _predict(self, pixels: list[Images]) -> Iterator[Prediction | LentigoError]:
        """Run the network; if a batch fails, its images run one by one, as in the service."""
        if not pixels:
            return
        try:
            batch = self._model.engine.predict(np.stack(pixels))
        except EngineError as error:
            if len(pixels) == 1:
                yield error
                return
            for image in pixels:
                yield from self._predict([image])
            return
        for place in range(len(pixels)):
            yield batch.take(np.array([place]))

    def _judge(
        self, item: Item, upload: DecodedUpload, prediction: Prediction | LentigoError
    ) -> Row:
        if isinstance(prediction, LentigoError):
            return failed_row(item, prediction, upload.sha256)
        try:
            quality, decision = judge(self._model, prediction, upload.issues, force=False)
        except EngineError as error:
            return failed_row(item, error, upload.sha256)
        return answered_row(item, PredictionResult(self._model, upload, quality, decision))
