"""`benchmark.json`: all that a benchmark's report is made from.

Version 1 of the schema; a change that an older reader would misread gets the next number. `PAPER`
holds the metrics of the four networks in Table 1 of the paper, on the same 938 images.
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
        epochs: number of epochs.
        minutes: duration of training, on the GPU of an Apple M1.
        accuracy: on the training rows, per cent.
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
    """The machine of the measurements.

    Attributes:
        processor: name, as the system reports it.
        cores: how many this process may use.
        system: operating system and instruction set.
        tensorflow: version of TensorFlow.
        litert: version of LiteRT.
    """

    processor: str
    cores: int
    system: str
    tensorflow: str
    litert: str


class Latency(_Record):
    """Latency of one image on its own, from pixels to probabilities.

    Attributes:
        median_ms: median, milliseconds.
        p95_ms: 95th percentile, milliseconds.
        runs: number of timed runs.
        load: load average of the machine over the last minute of timing, this benchmark included;
            None if the system has none.
    """

    median_ms: float
    p95_ms: float
    runs: int
    load: float | None


class BenchmarkResult(_Record):
    """The result of one trained architecture.

    Attributes:
        parameters: of the network.
        weights: origin of the pretrained values: `imagenet`, `random`, or `none` for an
            architecture that starts without any.
        recipe: the recipe of the run.
        bfloat16: whether the longest part of training was computed in bfloat16: the pass through
            the frozen layers, or every step if nothing is frozen.
        images: number of training images.
        rows: training rows, replicas included, by diagnosis code.
        history: every epoch.
        evaluation: of the exported model, on every validation image.
        feature_seconds: duration of the pass through the frozen layers; 0 if nothing is frozen,
            None if an earlier run did not keep the time.
        saved_model_bytes: size of `saved_model.pb` and `variables/`.
        litert_bytes: size of the float32 LiteRT model.
        latency: of the SavedModel and of the float32 LiteRT model.
        peak_memory_bytes: largest resident memory of the process that finished the run; None if
            the system does not report it.
        machine: the machine of the measurement.
        code_version: of the trainer that measured it; None in records of 0.1.0.
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
    code_version: str | None = None

    @property
    def epochs(self) -> int:
        """Number of epochs."""
        return len(self.history)

    @property
    def minutes(self) -> float | None:
        """Duration of training, the frozen pass included; None if it is not known."""
        if self.feature_seconds is None:
            return None
        return (self.feature_seconds + sum(epoch.seconds for epoch in self.history)) / 60

    @model_validator(mode="after")
    def _has_epochs(self) -> Self:
        if not self.history:
            raise ValueError("there is no epoch")
        return self


class Entry(_Record):
    """One architecture: its result, or why there is none.

    Attributes:
        name: in the registry.
        title: for readers.
        recipe_epochs: epochs of its recipe; `measured` may have fewer.
        measured: the result.
        reason: why there is none, a sentence without its full stop.
        failed: whether that was a failure, rather than a choice or missing weights.
        parameters: of the network, which can be counted without training it; None in records of
            earlier versions.
    """

    name: str
    title: str
    recipe_epochs: int
    measured: BenchmarkResult | None = None
    reason: str | None = None
    failed: bool = False
    parameters: Parameters | None = None

    @model_validator(mode="after")
    def _has_a_result_or_a_reason(self) -> Self:
        if (self.measured is None) == (self.reason is None):
            raise ValueError("an entry is either measured or has a reason why not")
        return self


class Benchmark(_Record):
    """One comparison of architectures on the same data.

    Attributes:
        created: when it was last added to, UTC.
        code_version: of the trainer that last added to it.
        dataset: SHA-256 over the prepared images, hex.
        images: in the data set.
        validation: number of validation images, by diagnosis code.
        limit: about how many images were used in total; None for all of them.
        seed: of oversampling and training.
        paper: the published metrics, by architecture.
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
            MetricError: the file is missing or not a benchmark's record.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise MetricError(
                f"{path} is not a record of a benchmark that this version can read: {error}. "
                "Move it away or name another folder."
            ) from error
