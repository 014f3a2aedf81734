"""Errors of the inference service, in one tree.

    LentigoError
    └── ServingError                the inference service
        ├── MalformedRequestError       a request that is not what its route expects
        ├── UnsupportedContentTypeError a body of a kind the route does not read
        ├── UploadTimeoutError          a body that did not arrive in time
        ├── UnauthorizedError           no API key, or none that is known
        ├── ForbiddenError              a key that does not allow what was asked
        ├── RateLimitedError            too many requests with one key
        ├── KeyFileError                the file of API keys cannot be used or changed
        ├── VersionRefusedError         a version that was asked for cannot be brought into use
        ├── LastVersionError            the only loaded version, asked to be unloaded
        └── UnavailableError            not now; says when to try again
            ├── NotReadyError               no model is loaded
            ├── ShutdownError               the service is being stopped
            ├── DeadlineExceededError       the time a request has is over
            └── ServiceBusyError            as much work as it takes is under way

Errors are raised where they are understood, and each message says what to do. They are mapped to
an HTTP status in `lentigo_inference.problem_types`.
"""

from lentigo_contract.errors import LentigoError


class ServingError(LentigoError):
    """The inference service cannot answer."""


class MalformedRequestError(ServingError):
    """The request is not what its route expects."""


class UnsupportedContentTypeError(ServingError):
    """The body is of a kind, or in a coding, that the route does not read."""


class UploadTimeoutError(ServingError):
    """The body did not arrive in time."""


class UnauthorizedError(ServingError):
    """The request has no API key, or none that is known."""


class ForbiddenError(ServingError):
    """The API key, or the lack of one, does not allow what was asked."""


class RateLimitedError(ServingError):
    """Too many requests were made with one key.

    Attributes:
        retry_after_s: seconds after which the next one may come.
    """

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class KeyFileError(ServingError):
    """The file of API keys is missing, damaged or not writable, or has no such key."""


class VersionRefusedError(ServingError):
    """The version that was asked for cannot be brought into use; the one before stays."""


class LastVersionError(ServingError):
    """The only loaded version is never unloaded."""


class UnavailableError(ServingError):
    """The service cannot answer now but may soon.

    Attributes:
        retry_after_s: seconds after which trying again makes sense.
    """

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NotReadyError(UnavailableError):
    """No model is loaded."""


class ShutdownError(UnavailableError):
    """The service is being stopped and takes no new work."""


class DeadlineExceededError(UnavailableError):
    """The time a request has was over before there was an answer."""


class ServiceBusyError(UnavailableError):
    """As much work as the service takes is already under way."""
