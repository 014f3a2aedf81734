"""Errors of the gateway, in one tree.

    LentigoError
    └── GatewayError                the gateway
        ├── ConfigError                 the configuration, or a file that it names, cannot be used
        ├── WorkListError               the work list cannot be opened, read or written
        │   ├── WorkListInUseError          another gateway has it
        │   └── UnknownEntryError           it has no such entry
        ├── ListenError                 an address cannot be listened on
        ├── InstanceError               an instance that gets no answer, however often it is tried
        │   ├── NotDicomError               not DICOM, or without what names an instance
        │   ├── NotTakenError               no rule takes it, or it is a result of our own
        │   ├── PixelsError                 no pixels, damaged ones, or of a kind that is not read
        │   ├── BoundsError                 more bytes, pixels or frames than are accepted
        │   └── ImageRefusedError           the inference service does not accept the image
        ├── InstanceGoneError           the archive no longer has the instance
        ├── DeliveryRefusedError        a receiver refuses a result, and would again
        ├── ConfirmationError           a confirmed diagnosis cannot be used
        │   └── NothingConfirmedError       a document confirms nothing, or nothing of ours
        ├── FeedbackRefusedError        the service does not know the answer that feedback is about
        ├── UnreadableInstanceError     the archive fails at this instance and at nothing else
        ├── TryAgainError               this attempt failed; another may succeed
        └── ServerUnavailableError      a server is away or busy, whatever it is asked
            └── SignInRefusedError          it refuses our key or password

Messages go to the log and to the work list, so they never hold a value of a data set: no name, no
number of a patient, no description.
"""

from typing import Literal

from lentigo_contract.errors import LentigoError

Server = Literal["service", "archive", "results", "fhir", "feedback"]
"""What the gateway depends on: the inference service; the archive, and whoever takes the results,
which may be full while it can be read; the FHIR server; and feedback to the service, which needs a
scope of its own."""


class GatewayError(LentigoError):
    """The gateway cannot do what was asked."""


class ConfigError(GatewayError):
    """The configuration, or a file that it names, is missing, unreadable or wrong."""


class WorkListError(GatewayError):
    """The work list cannot be opened, read or written."""


class WorkListInUseError(WorkListError):
    """Another gateway uses this work list."""


class UnknownEntryError(WorkListError):
    """The work list has no entry of this number."""


class ListenError(GatewayError):
    """An address cannot be listened on."""


class InstanceError(GatewayError):
    """An instance gets no answer, and would get none if it was tried again."""


class NotDicomError(InstanceError):
    """The bytes are not DICOM, or do not say which instance they are."""


class NotTakenError(InstanceError):
    """No rule takes the instance, or it is a result of the gateway itself."""


class PixelsError(InstanceError):
    """The instance has no pixels, damaged ones, or pixels of a kind that is not read."""


class BoundsError(InstanceError):
    """The instance has more bytes, pixels or frames than are accepted."""


class ImageRefusedError(InstanceError):
    """The inference service does not accept the image."""


class InstanceGoneError(GatewayError):
    """The archive no longer has the instance."""


class UnreadableInstanceError(GatewayError):
    """The archive fails each time it is asked for one instance, and answers everything else."""


class DeliveryRefusedError(GatewayError):
    """A receiver refuses a result, and would refuse it again."""


class ConfirmationError(GatewayError):
    """A document confirms a diagnosis in a way that cannot be used."""


class NothingConfirmedError(ConfirmationError):
    """A document confirms nothing, or nothing that was answered."""


class FeedbackRefusedError(GatewayError):
    """The service does not take feedback on an answer, and would not later."""


class TryAgainError(GatewayError):
    """An attempt failed in a way that another one may not.

    Attributes:
        server: which server failed.
    """

    def __init__(self, message: str, server: Server) -> None:
        super().__init__(message)
        self.server: Server = server


class ServerUnavailableError(GatewayError):
    """A server is away or busy, so no instance could be served. It counts against none.

    Attributes:
        server: which server.
        retry_after_s: seconds that the server asked to wait; None if it did not say.
    """

    def __init__(self, message: str, server: Server, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.server: Server = server
        self.retry_after_s = retry_after_s


class SignInRefusedError(ServerUnavailableError):
    """A server refuses our key or password, or wants one."""
