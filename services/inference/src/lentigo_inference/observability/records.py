"""What is recorded of requests, batches, loads and audit writes, for log, metrics and spans."""

from dataclasses import dataclass, field
from typing import Literal

from lentigo_contract.imaging.quality import Reason
from lentigo_inference.errors import Unauthorized

StepName = Literal["decode", "queue", "inference", "describe"]


@dataclass(frozen=True, slots=True)
class Step:
    """The time that a request spent on one thing.

    Attributes:
        name: what it did.
        started: reading of `time.monotonic` in seconds.
        ended: the same, at the end.
        batch_size: images that the engine computed together, for inference.
    """

    name: StepName
    started: float
    ended: float
    batch_size: int | None = None

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.started


@dataclass(slots=True, eq=False)
class RequestRecord:
    """Filled in while a request is answered; read once, at its end.

    Attributes:
        key: name of the API key, or of the bearer of a token.
        unauthorized: why it was not let in.
        model_version: the version that answers.
        engine: the engine that computes.
        answers: for each image in turn the id of its answer and whether it refers, or None.
        image_sha256: hex digest of the one image that was sent.
        images: how many a request for several has; their digests are not recorded.
        problem: slug of the problem that answered the whole request.
        rejections: slugs of all problems, those of single images included.
        unaccepted: why images cannot be judged, each reason as often as there are such images.
        shed: whether it was refused for overload; the log counts such requests and lists none.
        steps: in no particular order; images of one batch share some.
    """

    key: str | None = None
    unauthorized: Unauthorized | None = None
    model_version: int | None = None
    engine: str | None = None
    answers: list[tuple[str, bool] | None] = field(default_factory=list)
    image_sha256: str | None = None
    images: int | None = None
    problem: str | None = None
    rejections: list[str] = field(default_factory=list)
    unaccepted: list[Reason] = field(default_factory=list)
    shed: bool = False
    steps: list[Step] = field(default_factory=list)

    def refuse(self, slug: str) -> None:
        """Record the problem that answers the request."""
        self.problem = slug
        self.rejections.append(slug)

    def refuse_image(self, slug: str) -> None:
        """Record the problem of one image; the other images are answered."""
        self.rejections.append(slug)
        self.answers.append(None)

    def answer(self, answer_id: str, *, refer: bool) -> None:
        """Record the answer to the next image."""
        self.answers.append((answer_id, refer))

    def log_fields(self) -> dict[str, object]:
        """Return the fields for the line in the log; of several images the longest times."""
        fields = {
            "key": self.key,
            "problem": self.problem,
            "reason": self.unauthorized,
            "model_version": self.model_version,
            "engine": self.engine,
            **self._answer_fields(),
            "images": self.images,
            # The images of a batch are judged in any order.
            "unaccepted": sorted(self.unaccepted) or None,
            "image_sha256": self.image_sha256 if self.images is None else None,
            "decode_milliseconds": self._longest_ms("decode"),
            "queue_milliseconds": self._longest_ms("queue"),
            "inference_milliseconds": self._longest_ms("inference"),
            "describe_milliseconds": self._longest_ms("describe"),
        }
        return {name: value for name, value in fields.items() if value is not None}

    def _answer_fields(self) -> dict[str, object]:
        """Return the answers: of one image as values, of several as lists in their order."""
        if self.images is None:
            answered = self.answers[0] if self.answers else None
            return {} if answered is None else {"id": answered[0], "refer": answered[1]}
        if not self.answers:
            return {}
        return {
            "ids": [answered and answered[0] for answered in self.answers],
            "refers": [answered and answered[1] for answered in self.answers],
        }

    def _longest_ms(self, name: StepName) -> float | None:
        seconds = [step.seconds for step in self.steps if step.name == name]
        return round(max(seconds) * 1000, 1) if seconds else None


@dataclass(frozen=True, slots=True)
class DecodeTimes:
    """How long one image waited for a thread, and how long reading it took, in seconds."""

    waited_s: float
    took_s: float


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """One batch that was computed.

    Attributes:
        version: of the model that computed it.
        size: images in it.
        waited_s: for each image, the seconds from joining the queue to the engine.
        engine_s: seconds in the engine.
    """

    version: int
    size: int
    waited_s: tuple[float, ...]
    engine_s: float


@dataclass(frozen=True, slots=True)
class LoadRecord:
    """One attempt to bring a version into use; `seconds` is how long it took."""

    version: int
    seconds: float
    succeeded: bool


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One write of the audit trail: how many records, and how many seconds it took."""

    records: int
    seconds: float
    succeeded: bool
