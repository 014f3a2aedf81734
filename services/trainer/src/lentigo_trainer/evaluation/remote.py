"""Predict through a running service, as its users do: `POST /v1/predictions` for each image."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np

from lentigo_contract.decision import DecidedBy, PrevalenceSource
from lentigo_contract.labels import CODES, index_of
from lentigo_contract.wording import pluralize
from lentigo_trainer.data.dataset import UNREADABLE
from lentigo_trainer.data.ham10000 import ImageReader, join_names
from lentigo_trainer.errors import DamagedImagesError, RemoteServiceError
from lentigo_trainer.evaluation.images.image_sets import ImageSet
from lentigo_trainer.metrics.arrays import FloatArray
from lentigo_trainer.metrics.decisions import Decisions
from lentigo_trainer.system.connection import Connection, detail_of
from lentigo_trainer.system.progress import Progress

_PREVALENCE_SOURCES: Final[dict[str | None, PrevalenceSource | None]] = {
    None: None,
    "version": "version",
    "clinic": "clinic",
}
_DECISIONS: Final[dict[str, DecidedBy]] = {"balanced": "balanced", "probable": "probable"}
_BAD_IMAGE: Final = (400, 413, 415, 422)
# Enough for the service to fill its batches, and far below the 64 that it takes at once.
_AT_ONCE: Final = 4


_Reference = tuple[str, int]


@dataclass(frozen=True, slots=True)
class ServedVersion:
    """The version in use.

    Attributes:
        name: of the model.
        version: its number.
        architecture: of the network.
        engine: the runtime that computes.
        created: when training ended, as in the manifest.
        threshold: probability of malignancy from which the service refers.
        prevalence_source: at whose prevalence its probabilities hold; None where it is unknown.
    """

    name: str
    version: int
    architecture: str
    engine: str
    created: datetime
    threshold: float
    prevalence_source: PrevalenceSource | None = None


@dataclass(frozen=True, slots=True)
class RemotePredictions:
    """The predictions of a service.

    Attributes:
        served: the version.
        probabilities: float64 [n, 7], in the order of the images.
        decisions: what it decided about them.
        refused: names of images that get a prediction only because it was forced.
    """

    served: ServedVersion
    probabilities: FloatArray
    decisions: Decisions
    refused: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Prediction:
    row: list[float]
    diagnosis: int
    decided_by: DecidedBy
    malignancy: float
    confident: bool | None
    reference: _Reference
    refused: bool


@dataclass(frozen=True, slots=True)
class RemoteService:
    """A service to evaluate."""

    connection: Connection

    @property
    def url(self) -> str:
        """Its address."""
        return str(self.connection.client.base_url)

    def served(self) -> ServedVersion:
        """Return the version in use.

        Raises:
            RemoteServiceError: no response, one not as ours, or no model is loaded.
        """
        listing = self.connection.values(self.connection.request("GET", "/v1/models"))
        models: Any = listing.get("models")
        if models == []:
            raise RemoteServiceError(
                f"{self.url} has no model loaded. Publish one into its repository, "
                "and evaluate again."
            )
        try:
            found = models[0]
            return ServedVersion(
                name=str(found["name"]),
                version=int(found["version"]),
                architecture=str(found["architecture"]),
                engine=str(found["engine"]),
                created=datetime.fromisoformat(found["created"]),
                threshold=float(found["threshold"]),
                prevalence_source=_PREVALENCE_SOURCES[found.get("prevalence_source")],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise self.connection.not_ours(f"{error!r} in /v1/models") from error

    def predict(self, images: ImageSet, progress: Progress) -> RemotePredictions:
        """Request a prediction for every image, a few at a time.

        Raises:
            DamagedImagesError: images that cannot be read or that it cannot decode, all named.
            RemoteServiceError: no response, a refused key, or the version changed meanwhile.
        """
        served = self.served()
        found: list[_Prediction] = []
        refused, damaged = [], []
        chosen = list(zip(images.names, images.readers, strict=True))
        with (
            ThreadPoolExecutor(_AT_ONCE) as pool,
            progress.track("Predicting", total=len(chosen), unit="images") as step,
        ):
            try:
                for name, prediction in zip(
                    images.names, pool.map(self._predict_one, images.readers), strict=True
                ):
                    if isinstance(prediction, str):
                        damaged.append(f"{name} ({prediction})")
                    else:
                        self._require_same(served, prediction.reference)
                        found.append(prediction)
                        refused += [name] if prediction.refused else []
                    step.advance()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        if damaged:
            raise DamagedImagesError(
                f"{len(damaged)} of {pluralize(len(chosen), 'image')} got no prediction: "
                f"{join_names(damaged)} Fetch them again, or remove their rows from the "
                "ground truth."
            )
        probabilities = np.array([each.row for each in found])
        return RemotePredictions(served, probabilities, _decisions(found), tuple(refused))

    def _predict_one(self, read: ImageReader) -> _Prediction | str:
        """Return the prediction for one image, or what is wrong with the image."""
        try:
            data = read()
        except UNREADABLE:
            return "it cannot be read."
        # Every image gets a prediction, also one that cannot be assessed.
        response = self.connection.request("POST", "/v1/predictions?force=true", data)
        if response.status_code in _BAD_IMAGE:
            return detail_of(response)
        found = self.connection.values(response)
        try:
            refused = not found["quality"]["accepted"]
            by_code = {each["code"]: float(each["probability"]) for each in found["probabilities"]}
            reference = (str(found["model"]["name"]), int(found["model"]["version"]))
            diagnosis = found["diagnosis"]
            return _Prediction(
                row=[by_code[code] for code in CODES],
                diagnosis=index_of(diagnosis["code"]),
                # Older releases decide for the most probable, and do not say so.
                decided_by=_DECISIONS[diagnosis.get("decided_by", "probable")],
                malignancy=float(found["malignancy"]["probability"]),
                confident=diagnosis["confident"],
                reference=reference,
                refused=refused,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise self.connection.not_ours(f"{error!r} in a prediction") from error

    def _require_same(self, served: ServedVersion, reference: _Reference) -> None:
        if reference != (served.name, served.version):
            raise RemoteServiceError(
                f"{self.url} changed from {served.name} {served.version} to "
                f"{reference[0]} {reference[1]} during the evaluation. Evaluate again."
            )


def _decisions(found: list[_Prediction]) -> Decisions:
    confident = [each.confident for each in found]
    return Decisions(
        classes=np.array([each.diagnosis for each in found], np.int64),
        by=found[0].decided_by if found else "probable",
        malignancy=np.array([each.malignancy for each in found]),
        confident=None if None in confident else np.array(confident, np.bool_),
    )
