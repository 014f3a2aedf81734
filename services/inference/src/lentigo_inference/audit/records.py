"""What is on record: of answers, feedback and administration. Plain values, ready for JSON.

`docs/how-to/audit.md` explains the members. They never change their names. No image, no file name
and no text that a user typed is on record.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

ANSWER: Final = "answer"
INFERENCE: Final = "inference"
FEEDBACK: Final = "feedback"
ADMINISTRATION: Final = "administration"
RETENTION: Final = "retention"
SHADOW: Final = "shadow"

Confirmation = Literal["histopathology", "follow-up", "consensus", "confocal"]
"""How a diagnosis was confirmed; the ISIC Archive distinguishes the same four."""

OTHER: Final = "other"
"""The confirmed diagnosis of a lesion that is none of the seven."""

Act = Literal["load", "unload", "loaded", "refused"]
"""`load` and `unload` were asked for; a version was `loaded` or `refused`."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom an answer went to.

    Attributes:
        request_id: of the request, as in the log.
        key: name of the API key, or of the bearer of a token, if there are any.
        client: address, as in the log.
    """

    request_id: str
    key: str | None
    client: str | None

    def members(self) -> dict[str, Any]:
        """Return the members of a record."""
        return {"request_id": self.request_id, "key": self.key, "client": self.client}


@dataclass(frozen=True, slots=True)
class ModelInUse:
    """Which version answered, and how it was run.

    Attributes:
        name: of the model.
        version: its number.
        manifest_sha256: of its manifest file, which has the SHA-256 of every other file.
        engine: the runtime.
        settings: the operator's that mattered.
    """

    name: str
    version: int
    manifest_sha256: str
    engine: str
    settings: Mapping[str, Any]

    def members(self) -> dict[str, Any]:
        """Return the members of a record."""
        return {
            "model": self.name,
            "version": self.version,
            "manifest_sha256": self.manifest_sha256,
            "engine": self.engine,
            "settings": dict(self.settings),
        }


@dataclass(frozen=True, slots=True)
class Said:
    """What was said of an image.

    Attributes:
        diagnosis: the code that was decided for; None if it was withheld.
        probabilities: by code; empty if they were withheld.
        malignancy: the probability of malignancy; None if it was withheld.
        threshold: from which to refer.
        refer: whether to refer.
        reasons: why.
        quality: why the image cannot be judged; empty if it can.
    """

    diagnosis: str | None
    probabilities: Mapping[str, float]
    malignancy: float | None
    threshold: float
    refer: bool
    reasons: Sequence[str]
    quality: Sequence[str]

    def members(self) -> dict[str, Any]:
        """Return the members of a record."""
        return {
            "diagnosis": self.diagnosis,
            "probabilities": dict(self.probabilities),
            "malignancy": self.malignancy,
            "threshold": self.threshold,
            "refer": self.refer,
            "reasons": list(self.reasons),
            "quality": list(self.quality),
        }


@dataclass(frozen=True, slots=True)
class Served:
    """What the version in use answered, beside which a shadow version is compared.

    Attributes:
        answer: id of the answer.
        image_sha256: of the image.
        version: number of the version in use.
        diagnosis: the code that was decided for; None if it was withheld.
        refer: whether to refer.
    """

    answer: str
    image_sha256: str
    version: int
    diagnosis: str | None
    refer: bool


def answer(
    answer_id: str, caller: Caller, image_sha256: str, said: Said, model: ModelInUse
) -> dict[str, Any]:
    """Return the record of an answer to an image."""
    return {
        "kind": ANSWER,
        "id": answer_id,
        **caller.members(),
        "image_sha256": image_sha256,
        **said.members(),
        **model.members(),
    }


def shadow(served: Served, said: Said, model: ModelInUse) -> dict[str, Any]:
    """Return the record of what a shadow version said of an image that was answered."""
    return {
        "kind": SHADOW,
        "answer": served.answer,
        "image_sha256": served.image_sha256,
        "served": {
            "version": served.version,
            "diagnosis": served.diagnosis,
            "refer": served.refer,
        },
        **said.members(),
        **model.members(),
    }


def inference(
    caller: Caller, images: Sequence[tuple[str, Sequence[float]]], model: ModelInUse
) -> dict[str, Any]:
    """Return the record of an answer of the Open Inference Protocol.

    Args:
        caller: whom it went to.
        images: for each the SHA-256 of its pixels, and the seven probabilities.
        model: the version that answered.
    """
    said = [
        {"pixels_sha256": digest, "probabilities": list(probabilities)}
        for digest, probabilities in images
    ]
    return {"kind": INFERENCE, **caller.members(), "images": said, **model.members()}


def feedback(
    feedback_id: str,
    caller: Caller,
    answered: Mapping[str, Any],
    diagnosis: str,
    confirmed_by: Confirmation,
) -> dict[str, Any]:
    """Return the record of feedback on an answer, given the record of that answer."""
    return {
        "kind": FEEDBACK,
        "id": feedback_id,
        "answer": answered["id"],
        **caller.members(),
        "image_sha256": answered["image_sha256"],
        "version": answered["version"],
        "manifest_sha256": answered["manifest_sha256"],
        "said": answered["diagnosis"],
        "malignancy": answered["malignancy"],
        "refer": answered["refer"],
        "diagnosis": diagnosis,
        "confirmed_by": confirmed_by,
    }


def administration(
    act: Act, version: int | None, caller: Caller | None = None, reason: str = ""
) -> dict[str, Any]:
    """Return the record of an act of administration.

    Args:
        act: what was asked for or done.
        version: of the model; None for the newest.
        caller: who asked; None if the service acted by itself.
        reason: why a version was refused; `forced` if it was asked for in spite of its manifest.
    """
    members = caller.members() if caller is not None else {}
    because = {"reason": reason} if reason else {}
    return {"kind": ADMINISTRATION, "act": act, "version": version, **members, **because}
