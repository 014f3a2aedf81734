"""Errors of the trainer, in one tree.

    LentigoError
    ├── DatasetError                the training data
    │   ├── SourceNotFoundError         archives, folders or metadata are missing
    │   ├── DamagedArchiveError         an archive is cut off or not an archive
    │   ├── MetadataError               the metadata contradicts itself or the images
    │   ├── DamagedImagesError          images that cannot be decoded, all named
    │   ├── MaskError                   a mask that cannot be read or does not fit its image
    │   ├── UnsafeArchiveError          an archive that leads out of itself, or a zip bomb
    │   ├── LicenseError                images under an unknown or unsuitable licence
    │   ├── ImportedSetError            an imported set that is missing, damaged or in the way
    │   └── DownloadError               a download failed or has the wrong content
    ├── TrainingError               a training run
    │   ├── RecipeError                 an unknown key or an impossible value
    │   ├── WeightsError                unusable pretrained weights
    │   │   └── WeightsUnavailableError     missing, and the download failed
    │   ├── WorkFolderError             a work folder made by another recipe, or in use
    │   ├── ClusterError                machines that cannot be used together
    │   │   └── LostWorkerError             one that has gone in the middle of a training
    │   ├── TrackingError               MLflow, where runs are to be tracked
    │   ├── DivergedError               a loss that is not finite
    │   ├── FeatureError                a feature of an image that is not finite
    │   └── DamagedCacheError           features that no longer match their checksums
    ├── EvaluationError             evaluating a version or a service
    │   ├── TruthError                  ground truth that contradicts itself or its images
    │   ├── LeakageError                images or lesions that the version was trained on
    │   ├── EvaluationReportError       a report that cannot be read or does not fit
    │   └── RemoteServiceError          a service that does not respond, or not as ours does
    ├── ReleaseRefusedError         a finished run that should not be published
    ├── SigningKeyError             the key that versions are signed with cannot be used
    └── MetricError                 a metric that is not defined
        └── EmptyClassError             a class without an example

Errors are raised where their cause is known, and each message says what to do.
`lentigo_trainer.cli.main` maps them to exit codes.
"""

from lentigo_contract.errors import LentigoError


class DatasetError(LentigoError):
    """The training data cannot be used."""


class SourceNotFoundError(DatasetError):
    """Archives, folders or metadata were not found in the folder that was named."""


class DamagedArchiveError(DatasetError):
    """An archive is cut off or is not an archive."""


class MetadataError(DatasetError):
    """The metadata contradicts itself or the images."""


class DamagedImagesError(DatasetError):
    """Images that cannot be decoded; the message names all of them."""


class MaskError(DatasetError):
    """A mask cannot be decoded, or is not for this image."""


class UnsafeArchiveError(DatasetError):
    """An archive has paths that lead out of it, or unpacks to far more than it holds."""


class LicenseError(DatasetError):
    """The licence of images is not stated, or cannot be read."""


class ImportedSetError(DatasetError):
    """An imported set is missing or damaged, or is in the way of another."""


class DownloadError(DatasetError):
    """A download failed, or the file has the wrong size or checksum."""


class TrainingError(LentigoError):
    """A training run cannot start or continue."""


class RecipeError(TrainingError):
    """A recipe has an unknown key or an impossible value."""


class WeightsError(TrainingError):
    """Pretrained weights are missing, or belong to another network."""


class WeightsUnavailableError(WeightsError):
    """Pretrained weights are missing and cannot be downloaded."""


class WorkFolderError(TrainingError):
    """A work folder was made by another recipe, or another run is using it."""


class ClusterError(TrainingError):
    """Machines that were named cannot be used, or not together."""


class LostWorkerError(ClusterError):
    """Another worker of the same training has gone."""


class TrackingError(TrainingError):
    """Runs are to be tracked in MLflow, which is missing or does not answer."""


class DivergedError(TrainingError):
    """A loss is not finite, so further training is in vain."""


class FeatureError(TrainingError):
    """A feature of an image is not finite, so nothing can be learnt from it."""


class DamagedCacheError(TrainingError):
    """Features on disk no longer match their checksums."""


class EvaluationError(LentigoError):
    """A version or a service cannot be evaluated on these images."""


class TruthError(EvaluationError):
    """The ground truth contradicts itself or the images."""


class LeakageError(EvaluationError):
    """The version was trained on images or lesions of the evaluation."""


class EvaluationReportError(EvaluationError):
    """A report cannot be read, or does not belong to what it is compared with."""


class RemoteServiceError(EvaluationError):
    """The service to evaluate does not respond, or is not a Lentigo service."""


class ReleaseRefusedError(LentigoError):
    """A finished run should not be published: the gate before the repository speaks against it.

    Trained again, it would be the same, so this is final unless somebody forces it.
    """


class SigningKeyError(LentigoError):
    """The private key that versions are signed with is missing, unsuitable, or not private."""


class MetricError(LentigoError):
    """A metric is not defined for these data."""


class EmptyClassError(MetricError):
    """A class has no example, so a metric is undefined."""
