"""Errors of the trainer, in one tree.

    LentigoError
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
    │   ├── EvaluationReportError       figures in a file that cannot be read or do not fit
    │   └── RemoteServiceError          a service that does not answer, or not as ours does
    └── MetricError                 a figure that is not defined
        └── EmptyClassError             a class without an example

Errors are raised where they are understood, and each message says what to do. They are mapped to
an exit code in `lentigo_trainer.cli.main`.
"""

from lentigo_contract.errors import LentigoError


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
