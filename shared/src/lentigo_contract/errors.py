"""Everything Lentigo raises on purpose, in one tree.

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
    │   ├── IncompatibleVersionError    whole, but not a version this code can use
    │   └── PublishError                a new version could not be published
    ├── StorageError                a disk that is full, read-only or not ours
    ├── TooLittleMemoryError        a container's limit that the work would not fit into
    ├── DatasetError                the training data
    │   ├── SourceNotFoundError         archives, folders or metadata are not there
    │   ├── DamagedArchiveError         an archive is cut off or not an archive
    │   ├── MetadataError               the metadata contradicts itself or the images
    │   ├── DamagedImagesError          images that cannot be decoded, all named
    │   └── DownloadError               a download failed or has the wrong content
    ├── TrainingError               a training run
    │   ├── RecipeError                 an unknown key or an impossible value
    │   ├── WeightsError                pretrained weights that are no use
    │   │   └── WeightsUnavailableError     not there, and not to be downloaded
    │   ├── WorkFolderError             a work folder made by another recipe, or in use
    │   └── DamagedCacheError           kept features that no longer match their sums
    ├── EvaluationError             measuring a version or a service
    │   ├── TruthError                  a truth table that contradicts itself or its images
    │   ├── OverlapError                images or lesions that the version was trained on
    │   ├── ScorecardError              figures in a file that cannot be read or do not fit
    │   └── RemoteServiceError          a service that does not answer, or not as ours does
    ├── MetricError                 a figure that is not defined
    │   └── EmptyClassError             a class without an example
    └── ServingError                the inference service
        ├── MalformedRequestError       a request that is not what its route expects
        ├── UnsupportedContentTypeError a body of a kind the route does not read
        ├── UploadTimeoutError          a body that did not arrive in time
        ├── UnauthorizedError           no API key, or none that is known
        ├── ForbiddenError              a key that does not allow what was asked
        ├── RateLimitedError            too many requests with one key
        ├── KeyFileError                the file of API keys cannot be used or changed
        ├── EngineError                 a runtime failed to load a version or to answer
        ├── VersionRefusedError         a version that was asked for cannot be brought into use
        ├── LastVersionError            the only loaded version, asked to be unloaded
        └── UnavailableError            not now; says when to try again
            ├── NotReadyError               no model is loaded
            ├── StoppingError               the service is being stopped
            ├── DeadlineExceededError       the time a request has is over
            └── ServiceBusyError            as much work as it takes is under way

Errors are raised where they are understood, and each message says what to do. They are mapped to
an HTTP status in `lentigo_inference.problem_types`, and to an exit code in
`lentigo_trainer.cli.main`.
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


class IncompatibleVersionError(RepositoryError):
    """The version is whole, but written for another schema, label order or input."""


class PublishError(RepositoryError):
    """A new version could not be published."""


class StorageError(LentigoError):
    """The disk is full, read-only or not writable by this user."""


class TooLittleMemoryError(LentigoError):
    """The memory limit of the container is lower than what the work needs."""


class DatasetError(LentigoError):
    """The training data cannot be used."""


class SourceNotFoundError(DatasetError):
    """Archives, folders or metadata were not found where they were said to be."""


class DamagedArchiveError(DatasetError):
    """An archive is cut off or is not an archive."""


class MetadataError(DatasetError):
    """The metadata contradicts itself or the images."""


class DamagedImagesError(DatasetError):
    """Images that cannot be decoded; the message names all of them."""


class DownloadError(DatasetError):
    """A download failed, or what came has the wrong size or sum."""


class TrainingError(LentigoError):
    """A training run cannot start or go on."""


class RecipeError(TrainingError):
    """A recipe has an unknown key or an impossible value."""


class WeightsError(TrainingError):
    """Pretrained weights are missing, or belong to another network."""


class WeightsUnavailableError(WeightsError):
    """Pretrained weights are not there, and cannot be downloaded."""


class WorkFolderError(TrainingError):
    """A work folder was made by another recipe, or another run is using it."""


class DamagedCacheError(TrainingError):
    """Kept features no longer match their check sums."""


class EvaluationError(LentigoError):
    """A version or a service cannot be measured on these images."""


class TruthError(EvaluationError):
    """The truth table contradicts itself or the images."""


class OverlapError(EvaluationError):
    """Images or lesions of the evaluation are among those the version was trained on."""


class EvaluationReportError(EvaluationError):
    """A file of figures cannot be read, or does not belong to what it is set beside."""


class RemoteServiceError(EvaluationError):
    """The service that is to be measured does not answer, or not as ours does."""


class MetricError(LentigoError):
    """A figure is not defined for these data."""


class EmptyClassError(MetricError):
    """A class has no example, so its recall is undefined."""


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


class EngineError(ServingError):
    """A model runtime failed to load a version or to answer."""


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


class StoppingError(UnavailableError):
    """The service is being stopped and takes no new work."""


class DeadlineExceededError(UnavailableError):
    """The time a request has was over before there was an answer."""


class ServiceBusyError(UnavailableError):
    """As much work as the service takes is already under way."""
