"""The gate before a model repository: what speaks against publishing a candidate.

A service takes up the newest version by itself, so what is published is what a clinic uses. The
gate stops a quick run, and a candidate that is worse than a version of the repository. `--force`
opens it; then the manifest, the service and its log say why it was closed.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lentigo_contract.decision import decide
from lentigo_contract.errors import (
    DamagedVersionError,
    EngineError,
    IncompatibleVersionError,
    VersionNotFoundError,
)
from lentigo_contract.manifest.manifest import Manifest
from lentigo_contract.manifest.probabilities import Prevalence
from lentigo_contract.repository.store import ModelStore, StoredVersion
from lentigo_contract.wording import pluralize
from lentigo_trainer.data.dataset import open_prepared
from lentigo_trainer.data.provenance import read_training_set
from lentigo_trainer.data.splits import split
from lentigo_trainer.errors import LeakageError, MetadataError, WorkFolderError
from lentigo_trainer.evaluation.comparison import paired_balanced_accuracy
from lentigo_trainer.evaluation.evaluate import EVALUATION_SEED
from lentigo_trainer.evaluation.exported_model import probabilities_of
from lentigo_trainer.export.publishing import candidate_files, candidate_manifest
from lentigo_trainer.metrics.arrays import LabelArray
from lentigo_trainer.metrics.bootstrap import Estimate, Resampling
from lentigo_trainer.system.progress import Progress


def find_objection(run: Path, models: Path, prepared: Path, progress: Progress) -> str | None:
    """Say what speaks against publishing a candidate, in a sentence; None if nothing does.

    There is an objection if

    - the candidate was trained with a limit: it is worth nothing, even in an empty repository;
    - the repository holds a better version. Both SavedModels diagnose the same validation images,
      which trained neither. The held version is better if the candidate's balanced accuracy minus
      its own is below 0 by more than chance explains: the upper end of the paired 95 % interval, by
      lesion, is below 0. A lower figure inside such an interval is no objection, because these
      images cannot tell which of the two is better. Without an interval, because too few lesions
      show a diagnosis, the figure itself decides;
    - a held version cannot be compared with it.

    The candidate is compared with every sound version, newest first, and not only with the newest:
    otherwise one forced version, or several small losses one after another, would open the gate.

    Args:
        run: the folder of the finished run.
        models: the model repository.
        prepared: the prepared images that the run was trained from; needed only to compare.
        progress: shows how many images are done, and how the two compare.

    Raises:
        WorkFolderError: the run has not finished.
        DamagedVersionError: the candidate cannot be loaded.
        StorageError: the repository cannot be listed.
    """
    candidate = _Candidate(run, candidate_manifest(run), prepared, progress)
    if candidate.manifest.limit is not None:
        return f"It was trained with --limit {candidate.manifest.limit}."
    store = ModelStore(models)
    objections = (_objection_by(store, version, candidate) for version in store.versions()[::-1])
    return next((objection for objection in objections if objection), None)


@dataclass(frozen=True, slots=True)
class _ValidationImages:
    """The images that versions are compared on.

    Attributes:
        pixels: uint8 [n, 224, 224, 3].
        truth: class numbers, int64 [n].
        names: without suffix, [n].
        lesions: which each shows, [n].
    """

    pixels: npt.NDArray[np.uint8]
    truth: LabelArray
    names: npt.NDArray[np.object_]
    lesions: npt.NDArray[np.object_]


@dataclass(frozen=True)
class _Candidate:
    """A finished run, with what is computed only when there is something to compare it with."""

    run: Path
    manifest: Manifest
    prepared: Path
    progress: Progress

    @cached_property
    def images(self) -> _ValidationImages:
        """The validation images of its data set.

        Raises:
            WorkFolderError: the prepared images are missing, or are not those it was trained from.
            MetadataError: they cannot be split.
        """
        prepared = open_prepared(self.prepared)
        if prepared.digest != self.manifest.dataset.digest:
            raise WorkFolderError(
                f"{self.prepared} holds other images than those it was trained from. Run "
                "`lentigo-train prepare` with its --source and --work."
            )
        rows = split(prepared.records).validation
        records = prepared.records.iloc[rows]
        return _ValidationImages(
            pixels=prepared.images[rows],
            truth=prepared.labels[rows],
            names=records["image_id"].to_numpy(),
            lesions=records["lesion_id"].to_numpy(),
        )

    @cached_property
    def diagnoses(self) -> LabelArray:
        """Its diagnosis of each image."""
        files = candidate_files(self.run)
        return diagnoses_of(files, self.manifest.prevalence, self.images.pixels, self.progress)


def diagnoses_of(
    folder: Path,
    prevalence: Prevalence | None,
    pixels: npt.NDArray[np.uint8],
    progress: Progress,
) -> LabelArray:
    """Return what a version's SavedModel diagnoses, as a service decides by default: int64 [n].

    Args:
        folder: of the version's files.
        prevalence: that the version declares; without one, the most probable diagnosis counts.
        pixels: uint8 [n, 224, 224, 3].
        progress: shows how many images are done.

    Raises:
        DamagedVersionError: it cannot be loaded.
        EngineError: the runtime failed.
    """
    return decide(probabilities_of(folder, pixels, progress), prevalence)


def _objection_by(store: ModelStore, version: int, candidate: _Candidate) -> str | None:
    """Compare a candidate with a held version; pass over one that no service could use."""
    name = f"{store.name} {version}"
    try:
        held = store.open(version)
    except (DamagedVersionError, VersionNotFoundError) as error:
        candidate.progress.say(f"{name} is not compared, because it is not whole. {error}")
        return None
    except IncompatibleVersionError as error:
        return _incomparable(name, error)
    try:
        images = candidate.images
        _require_unseen(held, images, candidate.manifest)
    except (WorkFolderError, MetadataError, LeakageError) as error:
        return _incomparable(name, error)
    ours = candidate.diagnoses
    try:
        theirs = diagnoses_of(
            held.path, held.manifest.prevalence, images.pixels, candidate.progress
        )
    except (DamagedVersionError, EngineError) as error:
        return _incomparable(name, error)
    resampling = Resampling(images.lesions, EVALUATION_SEED)
    difference = paired_balanced_accuracy(images.truth, ours, theirs, resampling)
    told = _told(difference)
    among = f"the same {pluralize(len(ours), 'image')}"
    candidate.progress.say(f"Compared with {name} on {among}: {told}")
    return f"It is worse than {name} on {among}: {told}." if _is_worse(difference) else None


def _require_unseen(held: StoredVersion, images: _ValidationImages, candidate: Manifest) -> None:
    """Check that no image on which two versions are compared trained the held one.

    Raises:
        LeakageError: some did, or the version does not say what trained it.
    """
    trained = read_training_set(held.path)
    if trained is None:
        if held.manifest.dataset.digest == candidate.dataset.digest:
            # The same data set has the same split.
            return
        raise LeakageError(
            "It does not say which images trained it, and it learned from another data set."
        )
    seen = np.isin(images.names, list(trained.names)) | np.isin(
        images.lesions, list(trained.lesions)
    )
    if seen.any():
        raise LeakageError(
            f"{int(seen.sum()):,} of the {len(seen):,} validation images, or their lesions, "
            "trained it."
        )


def _is_worse(difference: Estimate) -> bool:
    end = difference.value if difference.high is None else difference.high
    return end is None or end < 0


def _told(difference: Estimate) -> str:
    if difference.value is None:
        return f"no balanced accuracy ({difference.reason})"
    points = f"balanced accuracy {100 * difference.value:+.1f} points"
    if difference.low is None or difference.high is None:
        return f"{points} (no interval: {difference.reason})"
    return f"{points} (95 % interval {100 * difference.low:+.1f} to {100 * difference.high:+.1f})"


def _incomparable(name: str, reason: Exception) -> str:
    return f"It cannot be compared with {name}: {reason}"
