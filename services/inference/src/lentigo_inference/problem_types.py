"""One table: the HTTP status and problem type of every error."""

from dataclasses import dataclass
from typing import Final

from lentigo_contract.errors import (
    EmptyImageError,
    EngineError,
    ImageBoundsError,
    ImageTooLargeError,
    LentigoError,
    UndecodableImageError,
    UnsupportedImageError,
    VersionNotFoundError,
)
from lentigo_inference.errors import (
    AuditUnavailableError,
    DeadlineExceededError,
    ForbiddenError,
    HeadTooLongError,
    IssuerUnavailableError,
    KeyFileError,
    LastVersionError,
    MalformedHttpError,
    MalformedRequestError,
    MisdirectedRequestError,
    NotAcceptableError,
    NotReadyError,
    OriginRefusedError,
    RateLimitedError,
    ServiceBusyError,
    ShutdownError,
    TargetTooLongError,
    TooManyImagesError,
    UnauthorizedError,
    UnknownAnswerError,
    UnsupportedContentTypeError,
    UnsupportedTransferCodingError,
    UploadTimeoutError,
    VersionRefusedError,
)


@dataclass(frozen=True, slots=True)
class ProblemType:
    """A problem type, as RFC 9457 defines it.

    Attributes:
        status: HTTP status.
        slug: last part of the `type` URI; never changes.
        title: the same for every problem of this type.
        example: an example of the detail, for the OpenAPI document.
    """

    status: int
    slug: str
    title: str
    example: str

    @property
    def uri(self) -> str:
        """The `type` member: a name, not a web address."""
        return f"urn:lentigo:problem:{self.slug}"


FAILED: Final = "The request failed. The log of the service has the cause, under this request id."

INTERNAL: Final = ProblemType(500, "internal", "The service failed", FAILED)
INVALID_PARAMETER: Final = ProblemType(
    400,
    "invalid-parameter",
    "A parameter is invalid",
    "query.explain: Input should be a valid boolean, unable to interpret input",
)

PROBLEMS: Final[dict[type[LentigoError], ProblemType]] = {
    MalformedHttpError: ProblemType(
        400,
        "malformed-http",
        "This is not HTTP/1.1",
        "The request has no Host. Send exactly one.",
    ),
    MalformedRequestError: ProblemType(
        400,
        "malformed-request",
        "The request is malformed",
        'The form is empty. Send the image in the field "image".',
    ),
    EmptyImageError: ProblemType(
        400,
        "empty-image",
        "The image is empty",
        "The image is empty. Send the bytes of a JPEG, PNG, WebP, BMP or TIFF.",
    ),
    UnauthorizedError: ProblemType(
        401,
        "unauthorized",
        "No valid API key or token",
        "This needs an API key. Send it as `Authorization: Bearer KEY` or as `X-API-Key: KEY`.",
    ),
    ForbiddenError: ProblemType(
        403,
        "forbidden",
        "The API key or token does not allow this",
        "This needs a key with the scope admin; yours has predict.",
    ),
    OriginRefusedError: ProblemType(
        403,
        "origin-refused",
        "Pages of this origin may not call the service",
        "Pages of this origin may not send this request. LENTIGO_CORS_ORIGINS lists those that "
        "may.",
    ),
    VersionNotFoundError: ProblemType(
        404,
        "unknown-model",
        "No such model or version",
        'The only model served here is "lentigo".',
    ),
    UnknownAnswerError: ProblemType(
        404,
        "unknown-answer",
        "No such answer is on record",
        "No answer with this id is in the audit trail of this service. Send the id of a prediction "
        "that this service answered within the time that its trail is kept.",
    ),
    NotAcceptableError: ProblemType(
        406,
        "not-acceptable",
        "No response is acceptable",
        "Accept allows none of what there is: application/json, application/fhir+json.",
    ),
    UploadTimeoutError: ProblemType(
        408,
        "upload-timeout",
        "The upload took too long",
        "The body was not complete after 30 seconds. Send it again, or a smaller image.",
    ),
    LastVersionError: ProblemType(
        409,
        "last-version",
        "The only loaded version cannot be unloaded",
        "Version 2 is the only one loaded, so it cannot be unloaded. Load another version instead.",
    ),
    ImageTooLargeError: ProblemType(
        413,
        "image-too-large",
        "The image file is too large",
        "The image has more than 20,971,520 bytes. Send a smaller one.",
    ),
    TooManyImagesError: ProblemType(
        413,
        "too-many-images",
        "The request has too many images",
        "The request has 32 images, and only 16 may wait for the model. Send fewer at a time.",
    ),
    UnsupportedImageError: ProblemType(
        415,
        "unsupported-image",
        "Unsupported image type",
        "The content is not an image type we read. Send JPEG, PNG, WebP, BMP or TIFF.",
    ),
    UnsupportedContentTypeError: ProblemType(
        415,
        "unsupported-content-type",
        "Unsupported content type",
        'Send the image as multipart/form-data in the field "image", or as the raw body.',
    ),
    MisdirectedRequestError: ProblemType(
        421,
        "misdirected-request",
        "The service does not answer for this host",
        "The service does not answer for this Host. Name it in LENTIGO_ALLOWED_HOSTS, or ask "
        "127.0.0.1.",
    ),
    ImageBoundsError: ProblemType(
        422,
        "image-bounds",
        "The image is too large or too small",
        "The image is 1 x 1; each side needs at least 32 pixels.",
    ),
    UndecodableImageError: ProblemType(
        422,
        "undecodable-image",
        "The image cannot be decoded",
        "The image cannot be decoded: it is damaged or cut off. Send the original file.",
    ),
    VersionRefusedError: ProblemType(
        422,
        "version-refused",
        "The version cannot be loaded",
        "Version 3 could not be loaded: variables/variables.index is missing. Version 2 stays.",
    ),
    TargetTooLongError: ProblemType(
        414,
        "target-too-long",
        "The target of the request is too long",
        "The path and query of the request have more than 8,192 bytes. Send less.",
    ),
    HeadTooLongError: ProblemType(
        431,
        "head-too-long",
        "The head of the request is too long",
        "The head of the request, or its trailers, have more than 65,536 bytes. Send less.",
    ),
    RateLimitedError: ProblemType(
        429,
        "rate-limited",
        "Too many requests",
        "More than 60 requests a minute. Try again after the given delay.",
    ),
    KeyFileError: ProblemType(500, "key-file", "The key file cannot be used", FAILED),
    EngineError: ProblemType(500, "engine-failed", "The model runtime failed", FAILED),
    UnsupportedTransferCodingError: ProblemType(
        501,
        "unsupported-transfer-coding",
        "Unsupported transfer coding",
        "The only transfer coding read here is chunked. Send the body uncompressed.",
    ),
    NotReadyError: ProblemType(
        503, "not-ready", "No model is loaded", "No model version has been published yet."
    ),
    ShutdownError: ProblemType(
        503,
        "stopping",
        "The service is stopping",
        "The service is being stopped and takes no new work. Try again; another instance, or the "
        "next, will answer.",
    ),
    DeadlineExceededError: ProblemType(
        503,
        "deadline-exceeded",
        "The request timed out",
        "There was no answer within 10 seconds, because the service is busy. Try again after the "
        "given delay.",
    ),
    AuditUnavailableError: ProblemType(
        503,
        "audit-unavailable",
        "The audit trail cannot be written",
        "The answer could not be put on record, so it is withheld. Try again after the given "
        "delay; the log of the service has the cause.",
    ),
    IssuerUnavailableError: ProblemType(
        503,
        "issuer-unavailable",
        "The token cannot be checked now",
        "The token cannot be checked: its issuer does not answer, and its keys are not known here. "
        "Try again after the given delay.",
    ),
    ServiceBusyError: ProblemType(
        503,
        "busy",
        "The service is busy",
        "64 predictions are under way, and the service takes no more at a time. Try again after "
        "the given delay.",
    ),
}


def problem_type(error: LentigoError) -> ProblemType:
    """Return the entry of an error or its nearest listed ancestor; otherwise an internal error."""
    for ancestor in type(error).__mro__:
        found = PROBLEMS.get(ancestor)
        if found is not None:
            return found
    return INTERNAL
