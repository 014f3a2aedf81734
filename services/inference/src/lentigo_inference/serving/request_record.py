"""What becomes of one request, for its line in the log, its metrics and its spans.

Time-ordered identifiers for answers.
"""

import random
import time
import uuid
from dataclasses import dataclass, field
from functools import cache
from typing import Final, Literal

from lentigo_contract.imaging.quality import Reason

StepName = Literal["decode", "queue", "inference"]


@dataclass(frozen=True, slots=True)
class Step:
    """A stretch of time that a request spent on one thing.

    Attributes:
        name: what it was.
        started: reading of `time.monotonic` in seconds.
        ended: likewise.
        batch_size: images the engine computed together, for inference.
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
    """Filled while a request is answered, by whoever knows; read once, when it is over.

    Attributes:
        key: name of the API key.
        model_version: the version that answers.
        image_sha256: hex digest of the one image that was sent.
        images: how many there are in a request for several, which have no digest here.
        problem: slug of the problem that the whole request was answered with.
        rejections: slugs of all problems, those of single images among them.
        unaccepted: why images cannot be judged, each reason as often as there are such images.
        refused_at_once: for overload; such requests are counted in the log, not listed.
        steps: in no particular order; images of one batch share some.
    """

    key: str | None = None
    model_version: int | None = None
    image_sha256: str | None = None
    images: int | None = None
    problem: str | None = None
    rejections: list[str] = field(default_factory=list)
    unaccepted: list[Reason] = field(default_factory=list)
    refused_at_once: bool = False
    steps: list[Step] = field(default_factory=list)

    def refuse(self, slug: str) -> None:
        """Note the problem that the request is answered with."""
        self.problem = slug
        self.rejections.append(slug)

    def refuse_image(self, slug: str) -> None:
        """Note the problem of one image, while others are answered."""
        self.rejections.append(slug)

    def log_fields(self) -> dict[str, object]:
        """Give what the line in the log has of this; of several images the longest times."""
        fields = {
            "key": self.key,
            "problem": self.problem,
            "model_version": self.model_version,
            "images": self.images,
            "unaccepted": self.unaccepted or None,
            "image_sha256": self.image_sha256 if self.images is None else None,
            "decode_milliseconds": self._longest_ms("decode"),
            "queue_milliseconds": self._longest_ms("queue"),
            "inference_milliseconds": self._longest_ms("inference"),
        }
        return {name: value for name, value in fields.items() if value is not None}

    def _longest_ms(self, name: StepName) -> float | None:
        seconds = [step.seconds for step in self.steps if step.name == name]
        return round(max(seconds) * 1000, 1) if seconds else None


_VERSION: Final = 7
_VARIANT: Final = 0b10


def uuid7(milliseconds: int | None = None) -> uuid.UUID:
    """Make a UUID version 7: 48 bits of Unix time, then 74 random bits (RFC 9562, section 5.7).

    Answers sort by the time they were given, and reveal nothing else.

    Args:
        milliseconds: Unix time; now, if not given.
    """
    if milliseconds is None:
        milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds & (2**48 - 1)) << 80
    value |= _VERSION << 76
    drawn = _source().getrandbits(12 + 62)
    value |= (drawn >> 62) << 64
    value |= _VARIANT << 62
    value |= drawn & (2**62 - 1)
    return uuid.UUID(int=value)


@cache
def _source() -> random.Random:
    """Give the process' own numbers, begun with the system's.

    Nobody is let in for knowing an identifier, so it need not be hard to guess; and each call to
    the system hands the interpreter to another thread, for which a busy event loop waits.
    """
    return random.Random()  # noqa: S311 - see above
