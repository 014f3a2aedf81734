"""Asking a running service, as its users do: `POST /v1/predictions`, the image as the raw body."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np

from lentigo_contract.errors import DamagedImagesError, RemoteServiceError
from lentigo_contract.labels import CODES
from lentigo_trainer.answers import FloatArray
from lentigo_trainer.data.dataset import UNREADABLE
from lentigo_trainer.data.ham10000 import ImageReader, listed
from lentigo_trainer.scoring.connection import Connection, detail_of
from lentigo_trainer.scoring.image_set import ImageSet
from lentigo_trainer.system.progress import Progress

# Enough for the service to fill its batches, and far below the 64 that it takes at once.
_AT_ONCE: Final = 4
_BAD_IMAGE: Final = (400, 413, 415, 422)

_Reference = tuple[str, int]


@dataclass(frozen=True, slots=True)
class ServedVersion:
    """What a service says it serves; `created` is when training ended, as in the manifest."""

    name: str
    version: int
    architecture: str
    engine: str
    created: datetime


@dataclass(frozen=True, slots=True)
class RemoteAnswers:
    """What a service said.

    Attributes:
        served: by which version.
        probabilities: float64 [n, 7], in the order of the images.
        refused: the names of images that it answers about only because it was told to.
    """

    served: ServedVersion
    probabilities: FloatArray
    refused: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RemoteService:
    """A service that can be asked about images."""

    connection: Connection

    @property
    def url(self) -> str:
        """Its address."""
        return str(self.connection.client.base_url)

    def served(self) -> ServedVersion:
        """Ask which version is in use.

        Raises:
            RemoteServiceError: no answer, none as ours gives, or no model is loaded.
        """
        told = self.connection.values(self.connection.request("GET", "/v1/models"))
        models: Any = told.get("models")
        if models == []:
            raise RemoteServiceError(
                f"{self.url} has no model loaded. Publish one into its repository, "
                "and measure again."
            )
        try:
            found = models[0]
            return ServedVersion(
                name=str(found["name"]),
                version=int(found["version"]),
                architecture=str(found["architecture"]),
                engine=str(found["engine"]),
                created=datetime.fromisoformat(found["created"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise self.connection.stranger(f"{error!r} in /v1/models") from error

    def answers(self, images: ImageSet, progress: Progress) -> RemoteAnswers:
        """Ask about every image, a few at a time.

        Raises:
            DamagedImagesError: images that cannot be read or that it cannot decode, all named.
            RemoteServiceError: no answer, a refused key, or another version from some image on.
        """
        served = self.served()
        rows, refused, damaged = [], [], []
        chosen = list(zip(images.names, images.readers, strict=True))
        with (
            ThreadPoolExecutor(_AT_ONCE) as pool,
            progress.track("Asking", total=len(chosen), unit="images") as step,
        ):
            try:
                for name, answer in zip(
                    images.names, pool.map(self._ask, images.readers), strict=True
                ):
                    if isinstance(answer, str):
                        damaged.append(f"{name} ({answer})")
                    else:
                        self._require_same(served, answer.reference)
                        rows.append(answer.row)
                        refused += [name] if answer.refused else []
                    step.advance()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        if damaged:
            raise DamagedImagesError(
                f"{len(damaged)} of {len(chosen):,} images got no answer: {listed(damaged)} "
                "Fetch them again, or take their rows out of the truth."
            )
        return RemoteAnswers(served, np.array(rows), tuple(refused))

    def _ask(self, read: ImageReader) -> "_Answer | str":
        """Give the answer about one image, or what is wrong with the image."""
        try:
            data = read()
        except UNREADABLE:
            return "it cannot be read."
        # Every image is scored, also one that cannot be judged.
        answer = self.connection.request("POST", "/v1/predictions?force=true", data)
        if answer.status_code in _BAD_IMAGE:
            return detail_of(answer)
        found = self.connection.values(answer)
        try:
            refused = not found["quality"]["accepted"]
            chances = {each["code"]: float(each["probability"]) for each in found["probabilities"]}
            reference = (str(found["model"]["name"]), int(found["model"]["version"]))
            return _Answer([chances[code] for code in CODES], reference, refused)
        except (KeyError, TypeError, ValueError) as error:
            raise self.connection.stranger(f"{error!r} in an answer") from error

    def _require_same(self, served: ServedVersion, reference: _Reference) -> None:
        if reference != (served.name, served.version):
            raise RemoteServiceError(
                f"{self.url} went over from {served.name} {served.version} to "
                f"{reference[0]} {reference[1]} while it was measured. Measure again."
            )


@dataclass(frozen=True, slots=True)
class _Answer:
    row: list[float]
    reference: _Reference
    refused: bool
