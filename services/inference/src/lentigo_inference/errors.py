"""Errors of the inference service, in one tree.

    LentigoError
    ├── ServingError                the inference service
    │   ├── MalformedHttpError          bytes that are not HTTP/1.1
    │   ├── HeadTooLongError            a head, or trailers, longer than allowed
    │   ├── TargetTooLongError          a path and query longer than allowed
    │   ├── UnsupportedTransferCodingError a Transfer-Encoding other than chunked
    │   ├── MisdirectedRequestError     a host that the service does not answer for
    │   ├── OriginRefusedError          a web page of another origin asks in advance
    │   ├── MalformedRequestError       a request that its route cannot read
    │   ├── TooManyImagesError          more images in a request than may ever wait
    │   ├── UnsupportedContentTypeError a body of a type that its route does not read
    │   ├── NotAcceptableError          a response in a form that there is none of
    │   ├── UploadTimeoutError          a body that did not arrive in time
    │   ├── UnauthorizedError           no API key or token, or one that is not accepted
    │   ├── ForbiddenError              a key or token that does not allow what was asked
    │   ├── RateLimitedError            too many requests with one key
    │   ├── KeyFileError                the file of API keys cannot be used or changed
    │   ├── UnknownAnswerError          feedback on an answer that is not in the audit trail
    │   ├── VersionRefusedError         the requested version cannot be brought into use
    │   ├── LastVersionError            the only loaded version cannot be unloaded
    │   └── UnavailableError            not now; has the time after which to try again
    │       ├── NotReadyError               no model is loaded
    │       ├── ShutdownError               the service is being stopped
    │       ├── DeadlineExceededError       the time limit of a request has passed
    │       ├── AuditUnavailableError       the audit trail cannot be written
    │       ├── IssuerUnavailableError      a token cannot be checked, because its issuer is away
    │       └── ServiceBusyError            the service has as much work as it accepts
    ├── ScoringError                an archive cannot be scored any further
    │   ├── SourceError                 the archive cannot be read, or ends in the middle
    │   ├── ResultFolderError           the folder for the results cannot be used
    │   ├── WorkersError                the processes that score end, or cannot be started
    │   ├── ClusterError                the Ray cluster is away, differs, or has no room
    │   ├── MissingExtraError           a package that scoring needs is not installed
    │   └── ScoringStoppedError         it was stopped from outside
    ├── FetchError                  the bytes of one image of an archive cannot be had
    ├── SettingsError               a setting in the environment has a value that it cannot have
    ├── ShadowError                 the process of a shadow version has failed
    ├── ModelKeyError               the key that versions are signed with cannot be used
    ├── ModelFetchError             a version cannot be fetched from its address
    ├── PrevalenceFileError         the file of a clinic's prevalence cannot be used
    ├── AuditFileError              a file of the audit trail, or its key, cannot be used
    └── IssuerError                 the issuer of tokens, or a setting about it, cannot be used

Errors are raised where they are understood, and each message says what to do. `problem_types` maps
those of requests to HTTP statuses.
"""

from enum import StrEnum

from lentigo_contract.errors import LentigoError


class ServingError(LentigoError):
    """The inference service cannot do what was asked."""


class MalformedHttpError(ServingError):
    """What arrived is not HTTP/1.1 (RFC 9112)."""


class HeadTooLongError(ServingError):
    """The head of a request, or its trailers, are longer than allowed."""


class TargetTooLongError(ServingError):
    """The target of a request, its path and query, is longer than allowed."""


class UnsupportedTransferCodingError(ServingError):
    """The body has a transfer coding other than chunked."""


class MisdirectedRequestError(ServingError):
    """The request names a host that the service does not answer for."""


class OriginRefusedError(ServingError):
    """A browser asks whether a page of another origin may send a request, and it may not."""


class MalformedRequestError(ServingError):
    """The request is not what its route expects."""


class TooManyImagesError(ServingError):
    """The request has more images than may ever wait for the model."""


class UnsupportedContentTypeError(ServingError):
    """The body has a content type or coding that the route does not read."""


class NotAcceptableError(ServingError):
    """The request accepts none of the media types that its route responds with."""


class UploadTimeoutError(ServingError):
    """The body did not arrive in time."""


class Unauthorized(StrEnum):
    """Why a request is not let in; for the log and the metrics, so these words never change."""

    NO_CREDENTIALS = "no-credentials"
    UNKNOWN_KEY = "unknown-key"
    EXPIRED_KEY = "expired-key"
    TOO_LONG = "token-too-long"
    MALFORMED = "malformed-token"
    ALGORITHM_REFUSED = "algorithm-refused"
    UNKNOWN_SIGNING_KEY = "unknown-signing-key"
    WRONG_SIGNATURE = "wrong-signature"
    WRONG_ISSUER = "wrong-issuer"
    WRONG_AUDIENCE = "wrong-audience"
    MISSING_CLAIM = "missing-claim"
    EXPIRED = "token-expired"
    NOT_YET_VALID = "token-not-yet-valid"


class UnauthorizedError(ServingError):
    """The request has no API key or token, or one that is not accepted.

    Attributes:
        reason: why.
        key: name of the key, if it is known all the same.
    """

    def __init__(self, message: str, reason: Unauthorized, key: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.key = key


class ForbiddenError(ServingError):
    """The API key or token, or the lack of one, does not allow what was asked.

    Attributes:
        scope: the scope that it lacks; None if there is no key at all.
    """

    def __init__(self, message: str, scope: str | None = None) -> None:
        super().__init__(message)
        self.scope = scope


class RateLimitedError(ServingError):
    """Too many requests came with one key.

    Attributes:
        retry_after_s: seconds after which the next request is accepted.
    """

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class KeyFileError(ServingError):
    """The file of API keys is missing, damaged or not writable, or has no such key."""


class UnknownAnswerError(ServingError):
    """The answer that feedback was sent for is not in the audit trail."""


class VersionRefusedError(ServingError):
    """The requested version cannot be brought into use; the one in use stays."""


class LastVersionError(ServingError):
    """The only loaded version cannot be unloaded."""


class UnavailableError(ServingError):
    """The service cannot answer now, but may soon.

    Attributes:
        retry_after_s: seconds after which trying again makes sense.
    """

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NotReadyError(UnavailableError):
    """No model is loaded."""


class ShutdownError(UnavailableError):
    """The service is being stopped and accepts no new work."""


class DeadlineExceededError(UnavailableError):
    """The time limit of a request passed before there was a response."""


class AuditUnavailableError(UnavailableError):
    """The audit trail cannot be written, so nothing may be answered."""


class IssuerUnavailableError(UnavailableError):
    """A token cannot be checked, because the keys of its issuer cannot be fetched."""


class ServiceBusyError(UnavailableError):
    """The service already has as much work as it accepts."""


class ScoringError(LentigoError):
    """An archive cannot be scored any further; what is finished is kept."""


class SourceError(ScoringError):
    """The archive cannot be read, is not one, or ends in the middle."""


class ResultFolderError(ScoringError):
    """The folder for the results is that of another run, in use, or not writable."""


class WorkersError(ScoringError):
    """The processes that score cannot be started, or end again and again."""


class ClusterError(ScoringError):
    """The Ray cluster is away, has other versions, or has no core with enough memory."""


class MissingExtraError(ScoringError):
    """A package that scoring needs is not installed."""


class ScoringStoppedError(ScoringError):
    """Scoring was stopped by Ctrl+C or SIGTERM."""


class FetchFailure(StrEnum):
    """Why the bytes of an image cannot be had; in results, so these words never change."""

    NOT_FOUND = "not-found"
    UNREADABLE = "unreadable"
    TIMEOUT = "timeout"
    UNSAFE_PATH = "unsafe-path"
    ENCRYPTED = "encrypted"
    DAMAGED_MEMBER = "damaged-member"
    UNSUPPORTED_URL = "unsupported-url"
    UNUSABLE_INSTANCE = "unusable-instance"


class FetchError(LentigoError):
    """The bytes of one image of an archive cannot be had.

    Attributes:
        reason: why.
    """

    def __init__(self, message: str, reason: FetchFailure) -> None:
        super().__init__(message)
        self.reason = reason


class SettingsError(LentigoError):
    """A setting in the environment has a value that it cannot have."""


class ShadowError(LentigoError):
    """The process of a shadow version ended, took too long, or did not answer as it should."""


class ModelKeyError(LentigoError):
    """The file of the public keys that versions are signed with cannot be used."""


class ModelFetchError(LentigoError):
    """A version cannot be fetched from its address, or what is there is no archive of one."""


class PrevalenceFileError(LentigoError):
    """The file of a clinic's prevalence is missing, unreadable or not seven shares."""


class AuditFileError(LentigoError):
    """A file or folder of the audit trail, or its key, is missing, damaged or not usable."""


class IssuerError(LentigoError):
    """The issuer of tokens cannot be reached or understood, or a setting about it is wrong."""
