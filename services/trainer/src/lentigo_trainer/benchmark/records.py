"""`benchmark.json`: everything that a benchmark's report is made from.

Version 1 of the schema; a change that an older reader would misread takes the next number. `PAPER`
holds what the paper reports of its four networks, on the same 938 images (its Table 1).
"""

from datetime import datetime
from pathlib import Path
from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError, model_validator

from lentigo_contract.manifest.manifest import Parameters
from lentigo_trainer.errors import MetricError
from lentigo_trainer.evaluation.summary import Evaluation
from lentigo_trainer.training.work_folder import EpochMetrics


class PaperMetrics(BaseModel):
    """One column of the paper's table.

    Attributes:
        epochs: how many it trained.
        minutes: how long that took, on the GPU of an Apple M1.
        accuracy: on the training rows, per cent, as the others.
        loss: cross-entropy on the training rows.
        validation_accuracy: on the 938 images, per cent.
        validation_loss: on the 938 images.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int
    minutes: float
    accuracy: float
    loss: float
    validation_accuracy: float
    validation_loss: float


PAPER: Final[dict[str, PaperMetrics]] = {
    "cnn": PaperMetrics(
        epochs=10,
        minutes=15.01,
        accuracy=66.64,
        loss=0.8637,
        validation_accuracy=82.4,
        validation_loss=0.5593,
    ),
    "vgg16": PaperMetrics(
        epochs=10,
        minutes=38.83,
        accuracy=75.37,
        loss=0.7680,
        validation_accuracy=83.05,
        validation_loss=0.4778,
    ),
    "resnet50": PaperMetrics(
        epochs=20,
        minutes=44.6,
        accuracy=77.60,
        loss=0.5728,
        validation_accuracy=86.67,
        validation_loss=0.4000,
    ),
    "mobilenet": PaperMetrics(
        epochs=20,
        minutes=14.56,
        accuracy=95.37,
        loss=0.1258,
        validation_accuracy=89.77,
        validation_loss=0.3520,
    ),
}


SCHEMA_VERSION: Final = 1


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Machine(_Record):
    """What the times were measured on.

    Attributes:
        processor: its name, as the system gives it.
        cores: how many this process may use.
        system: operating system and instruction set.
        tensorflow: version, as the next one.
        litert: version.
    """

    processor: str
    cores: int
    system: str
    tensorflow: str
    litert: str


class Latency(_Record):
    """How long one picture takes, alone, from pixels to probabilities.

    Attributes:
        median_ms: milliseconds, as the next one.
        p95_ms: 19 of 20 runs took no longer.
        runs: how many were timed.
        load: of the machine when it was timed: processes that wanted a core, by the system's mean
            over one minute, that of this benchmark included; None where the system does not tell.
    """

    median_ms: float
    p95_ms: float
    runs: int
    load: float | None


class BenchmarkResult(_Record):
    """One architecture that was trained and measured.

    Attributes:
        parameters: of the network.
        weights: where the frozen values come from: `imagenet`, `random`, or `none` where all is
            learnt from nothing.
        recipe: as it was followed.
        bfloat16: whether what takes longest was computed in bfloat16: the pass through the frozen
            layers, or every step where nothing is frozen.
        images: training images.
        rows: training rows, replicas included, by diagnosis code.
        history: every epoch.
        evaluation: of the exported model, on every validation image.
        feature_seconds: of the pass through the frozen layers; 0 where nothing is frozen, None
            where an earlier run did not keep the time.
        saved_model_bytes: size of `saved_model.pb` and `variables/`.
        litert_bytes: size of the float32 LiteRT model.
        latency: of the SavedModel and of the float32 LiteRT model.
        peak_memory_bytes: most that the process had resident in the sitting that finished it; None
            where the system does not tell.
        machine: what it was measured on.
    """

    parameters: Parameters
    weights: Literal["imagenet", "random", "none"]
    recipe: dict[str, JsonValue]
    bfloat16: bool = False
    images: int
    rows: dict[str, int]
    history: tuple[EpochMetrics, ...]
    evaluation: Evaluation
    feature_seconds: float | None
    saved_model_bytes: int
    litert_bytes: int
    latency: dict[Literal["savedmodel", "litert"], Latency]
    peak_memory_bytes: int | None
    machine: Machine

    @property
    def epochs(self) -> int:
        """How many it was trained."""
        return len(self.history)

    @property
    def minutes(self) -> float | None:
        """How long training took, the frozen pass included; None where that is not known."""
        if self.feature_seconds is None:
            return None
        return (self.feature_seconds + sum(epoch.seconds for epoch in self.history)) / 60

    @model_validator(mode="after")
    def _has_learnt(self) -> Self:
        if not self.history:
            raise ValueError("there is no epoch")
        return self


class Entry(_Record):
    """One architecture: what was measured, or why nothing was.

    Attributes:
        name: in the registry.
        title: for readers.
        recipe_epochs: how many its recipe has; `measured` may have fewer.
        measured: the figures.
        reason: why there are none, a sentence without its full stop.
        failed: whether that was a failure, rather than a choice or missing weights.
    """

    name: str
    title: str
    recipe_epochs: int
    measured: BenchmarkResult | None = None
    reason: str | None = None
    failed: bool = False

    @model_validator(mode="after")
    def _is_one_or_the_other(self) -> Self:
        if (self.measured is None) == (self.reason is None):
            raise ValueError("an entry is either measured or has a reason why not")
        return self


class Benchmark(_Record):
    """One comparison of architectures on the same data.

    Attributes:
        created: when it was last added to, UTC.
        code_version: of this trainer.
        dataset: SHA-256 over the prepared images, hex.
        images: in the data set.
        validation: how many images were held back, by diagnosis code.
        limit: about how many images were used in all; None for all of them.
        seed: of the plan and of training.
        paper: the published figures, by architecture.
        entries: one for each architecture of the registry, in its order.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    created: datetime
    code_version: str
    dataset: str
    images: int
    validation: dict[str, int]
    limit: int | None
    seed: int
    paper: dict[str, PaperMetrics]
    entries: tuple[Entry, ...]

    def to_json(self) -> str:
        """Return the text of the file."""
        return self.model_dump_json(indent=2) + "\n"

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read `benchmark.json`.

        Raises:
            MetricError: it is not there, or not such a file.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise MetricError(
                f"{path} is no record of a benchmark that this version can read: {error}. Move it "
                "away or name another folder."
            ) from error
