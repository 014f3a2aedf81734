"""One table: which error answers with which HTTP status and problem type."""

from dataclasses import dataclass
from typing import Final

from lentigo_contract.errors import (
    EmptyImageError,
    EngineError,
    ImageBoundsError,
    ImageTooLargeError,
    LentigoError,
    MalformedRequestError,
    NotReadyError,
    ServiceBusyError,
    UndecodableImageError,
    UnsupportedContentTypeError,
    UnsupportedImageError,
    UploadTimeoutError,
    VersionNotFoundError,
)


@dataclass(frozen=True, slots=True)
class ProblemType:
    """A kind of problem, as RFC 9457 means it.

    Attributes:
        status: HTTP status.
        slug: last part of the `type` URI; clients may rely on it.
        title: the same for every problem of this kind.
    """

    status: int
    slug: str
    title: str

    @property
    def uri(self) -> str:
        """The `type` member: a name, not an address."""
        return f"urn:lentigo:problem:{self.slug}"


INTERNAL: Final = ProblemType(500, "internal", "The service failed")
INVALID_PARAMETER: Final = ProblemType(400, "invalid-parameter", "A parameter is invalid")

PROBLEMS: Final[dict[type[LentigoError], ProblemType]] = {
    MalformedRequestError: ProblemType(400, "malformed-request", "The request is malformed"),
    EmptyImageError: ProblemType(400, "empty-image", "The image is empty"),
    VersionNotFoundError: ProblemType(404, "unknown-model", "No such model or version"),
    UploadTimeoutError: ProblemType(408, "upload-timeout", "The upload took too long"),
    ImageTooLargeError: ProblemType(413, "image-too-large", "The image has too many bytes"),
    UnsupportedImageError: ProblemType(415, "unsupported-image", "Not an image type we read"),
    UnsupportedContentTypeError: ProblemType(
        415, "unsupported-content-type", "Not a content type we read"
    ),
    ImageBoundsError: ProblemType(422, "image-bounds", "The image is too large or too small"),
    UndecodableImageError: ProblemType(422, "undecodable-image", "The image cannot be decoded"),
    EngineError: ProblemType(500, "engine-failed", "The model runtime failed"),
    NotReadyError: ProblemType(503, "not-ready", "No model is loaded"),
    ServiceBusyError: ProblemType(503, "busy", "The service is busy"),
}


def problem_type(error: LentigoError) -> ProblemType:
    """Find an error's entry, or its nearest ancestor's; what is not listed is our own failure."""
    for ancestor in type(error).__mro__:
        found = PROBLEMS.get(ancestor)
        if found is not None:
            return found
    return INTERNAL
