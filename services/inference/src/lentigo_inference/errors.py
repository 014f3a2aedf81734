"""Errors of the inference service, in one tree.

    LentigoError
    └── ServingError                the inference service
        ├── MalformedRequestError       a request that its route cannot read
        ├── UnsupportedContentTypeError a body of a type that its route does not read
        ├── UploadTimeoutError          a body that did not arrive in time
        ├── UnauthorizedError           no API key, or an unknown one
        ├── ForbiddenError              a key that does not allow what was asked
        ├── RateLimitedError            too many requests with one key
        ├── KeyFileError                the file of API keys cannot be used or changed
        ├── PrevalenceFileError         the file of the clinic's prevalence cannot be used
        ├── VersionRefusedError         the requested version cannot be brought into use
        ├── LastVersionError            the only loaded version cannot be unloaded
        └── UnavailableError            not now; has the time after which to try again
            ├── NotReadyError               no model is loaded
            ├── ShutdownError               the service is being stopped
            ├── DeadlineExceededError       the time limit of a request has passed
            └── ServiceBusyError            the service has as much work as it accepts

Errors are raised where they are understood, and each message says what to do. `problem_types` maps
them to HTTP statuses.
"""

from lentigo_contract.errors import LentigoError


class ServingError(LentigoError):
    """The inference service cannot do what was asked."""


class MalformedRequestError(ServingError):
    """The request is not what its route expects."""


class UnsupportedContentTypeError(ServingError):
    """The body has a content type or coding that the route does not read."""


class UploadTimeoutError(ServingError):
    """The body did not arrive in time."""


class UnauthorizedError(ServingError):
    """The request has no API key, or an unknown one."""


class ForbiddenError(ServingError):
    """The API key, or the lack of one, does not allow what was asked."""


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


class PrevalenceFileError(ServingError):
    """The file of the clinic's prevalence is missing, unreadable or not seven shares."""


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


class ServiceBusyError(UnavailableError):
    """The service already has as much work as it accepts."""
