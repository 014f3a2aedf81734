"""Errors that the packages share, in one tree.

    LentigoError
    ├── ImageError                  an image that was sent to us
    │   ├── EmptyImageError             no bytes at all
    │   ├── ImageTooLargeError          more bytes than the limit
    │   ├── UnsupportedImageError       not a type we read, or an animation
    │   ├── ImageBoundsError            more pixels, or longer or shorter sides, than we accept
    │   └── UndecodableImageError       damaged or cut off
    ├── RepositoryError             the model repository
    │   ├── NoVersionError              nothing published yet
    │   ├── VersionNotFoundError        that version is not there
    │   ├── DamagedVersionError         a file is missing, changed or unreadable
    │   ├── UntrustedVersionError       not signed, or not as it was signed
    │   ├── IncompatibleVersionError    whole, but not a version this code can use
    │   └── PublishError                a new version could not be published
    ├── StorageError                a disk that is full, read-only or not ours
    ├── TooLittleMemoryError        a container's limit that the work would not fit into
    ├── EngineError                 a runtime failed to load a version or to answer
    ├── DescriptionError            a description of a lesion that came out as no number
    ├── PredictionDocumentError     an answer that is not as `POST /v1/predictions` has it
    └── CodeMapError                a map of diagnoses to other codes that cannot be used

Errors are raised where they are understood, and each message says what to do. Each service has its
own below `LentigoError`: `lentigo_trainer.errors` and `lentigo_inference.errors`.
"""


class LentigoError(Exception):
    """Base of every error Lentigo raises on purpose; its text is fit to be shown to a user."""


class ImageError(LentigoError):
    """An image that was sent to us cannot be used."""


class EmptyImageError(ImageError):
    """There are no bytes to read."""


class ImageTooLargeError(ImageError):
    """The image has more bytes than the limit allows."""


class UnsupportedImageError(ImageError):
    """The bytes are not an image type we read, or hold an animation or several pages."""


class ImageBoundsError(ImageError):
    """The image has more pixels, or longer or shorter sides, than the limits allow."""


class UndecodableImageError(ImageError):
    """The image is damaged or cut off."""


class RepositoryError(LentigoError):
    """The model repository cannot do what was asked."""


class NoVersionError(RepositoryError):
    """No version has been published yet."""


class VersionNotFoundError(RepositoryError):
    """The repository does not hold that version."""


class DamagedVersionError(RepositoryError):
    """A file of the version is missing, changed or unreadable."""


class UntrustedVersionError(RepositoryError):
    """The version is not signed by a trusted key, or is not what was signed."""


class IncompatibleVersionError(RepositoryError):
    """The version is whole, but written for another schema, label order or input."""


class PublishError(RepositoryError):
    """A new version could not be published."""


class StorageError(LentigoError):
    """The disk is full, read-only or not writable by this user."""


class TooLittleMemoryError(LentigoError):
    """The memory limit of the container is lower than what the work needs."""


class EngineError(LentigoError):
    """A model runtime failed to load a version or to answer."""


class DescriptionError(LentigoError):
    """A number of a lesion's description is not finite."""


class PredictionDocumentError(LentigoError):
    """The answer to an image lacks a member, or has a value that it cannot have."""


class CodeMapError(LentigoError):
    """The map from diagnoses to codes of other systems is unreadable or has a wrong code."""
