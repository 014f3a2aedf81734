"""Asking a running service, as its users do: `POST /v1/predictions`, the image as the raw body.

The way to a running service: asked again while it is busy, its errors told in our words.
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import httpx
import numpy as np

from lentigo_contract.labels import CODES
from lentigo_trainer.data.dataset import UNREADABLE
from lentigo_trainer.data.ham10000 import ImageReader, join_names
from lentigo_trainer.errors import DamagedImagesError, RemoteServiceError
from lentigo_trainer.evaluation.image_sets import ImageSet
from lentigo_trainer.metrics.arrays import FloatArray
from lentigo_trainer.system.progress import Progress
from lentigo_trainer.system.retrying import RetryPolicy, retry_after

KEY_VARIABLE: Final = "LENTIGO_API_KEY"

_TIMEOUT: Final = httpx.Timeout(120, connect=10)
_BUSY: Final = (429, 503)


@dataclass(frozen=True, slots=True)
class Connection:
    """A service that can be asked, from several threads.

    Attributes:
        client: speaks to its address.
        patience: how often to ask a busy service again.
    """

    client: httpx.Client
    patience: RetryPolicy

    def request(self, method: str, path: str, data: bytes | None = None) -> httpx.Response:
        """Ask, again and again while the service says that it is busy.

        Raises:
            RemoteServiceError: no answer, or busy for too long.
        """
        headers = {} if data is None else {"Content-Type": "application/octet-stream"}
        failures = 0
        while True:
            try:
                answer = self.client.request(method, path, content=data, headers=headers)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise RemoteServiceError(
                    f"{self.client.base_url} does not answer ({str(error) or type(error).__name__})"
                    ". Start the service there, or give --url its address, such as "
                    "http://127.0.0.1:8000."
                ) from error
            if answer.status_code not in _BUSY:
                return answer
            failures += 1
            if failures >= self.patience.attempts:
                raise RemoteServiceError(
                    f"{self.client.base_url} was busy {failures} times in a row "
                    f"({detail_of(answer)}) Measure when it has less to do."
                )
            self.patience.sleep(self.patience.pause(failures, retry_after(answer)))

    def values(self, answer: httpx.Response) -> dict[str, Any]:
        """Give the values of a JSON object.

        Raises:
            RemoteServiceError: an error, a refused key, or no JSON object.
        """
        if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise RemoteServiceError(
                f"{self.client.base_url} refuses without a key of the scope predict: "
                f"{detail_of(answer)} Put one into the environment variable {KEY_VARIABLE}."
            )
        if answer.status_code != httpx.codes.OK:
            raise RemoteServiceError(
                f"{answer.request.url} answered {answer.status_code}: {detail_of(answer)}"
            )
        try:
            found = answer.json()
        except ValueError as error:
            raise self.stranger("the answer is not JSON") from error
        if not isinstance(found, dict):
            raise self.stranger("the answer is no JSON object")
        return found

    def stranger(self, what: str) -> RemoteServiceError:
        """Give the error for an answer that is not as ours."""
        return RemoteServiceError(
            f"{self.client.base_url} does not answer as Lentigo does: {what}. Check --url."
        )


def detail_of(answer: httpx.Response) -> str:
    """Give what a problem says, or the name of its status."""
    try:
        problem = answer.json()
    except ValueError:
        problem = None
    detail = problem.get("detail") if isinstance(problem, Mapping) else None
    return str(detail or answer.reason_phrase)


@contextmanager
def connected_to(
    url: str, key: str | None, patience: RetryPolicy | None = None
) -> Iterator[Connection]:
    """Open a service to be asked.

    Args:
        url: its address, such as `http://127.0.0.1:8000`.
        key: API key of the scope `predict`; None where it wants none.
        patience: how often to ask a busy service again.

    Raises:
        RemoteServiceError: not an address.
    """
    headers = {} if key is None else {"X-API-Key": key}
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise _no_address(url) from error
    if address.scheme not in ("http", "https") or not address.host:
        raise _no_address(url)
    with httpx.Client(base_url=address, headers=headers, timeout=_TIMEOUT) as client:
        yield Connection(client, patience or RetryPolicy())


def _no_address(url: str) -> RemoteServiceError:
    return RemoteServiceError(
        f"{url!r} is no address of a service. Give --url one like http://127.0.0.1:8000."
    )


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
class RemotePredictions:
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

    def answers(self, images: ImageSet, progress: Progress) -> RemotePredictions:
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
                f"{len(damaged)} of {len(chosen):,} images got no answer: {join_names(damaged)} "
                "Fetch them again, or take their rows out of the truth."
            )
        return RemotePredictions(served, np.array(rows), tuple(refused))

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
