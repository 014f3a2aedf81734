"""Asking the inference service: which version it has in use, and what it says of an image."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from lentigo_gateway.answers import Answer
from lentigo_gateway.errors import (
    FeedbackRefusedError,
    ImageRefusedError,
    ServerUnavailableError,
    TryAgainError,
)
from lentigo_gateway.http_server import HttpServer, Reply
from lentigo_gateway.pixels.frames import FrameImage

_PREDICTIONS: Final = "v1/predictions"
_MODELS: Final = "v1/models"
_READY: Final = "v2/health/ready"

# Statuses that speak of the image: the same image is refused again.
_OF_THE_IMAGE: Final = (400, 413, 415, 422)
# The key may ask and not give feedback; then asking goes on.
_NO_SCOPE: Final = (401, 403)
_NO_SCOPE_RETRY_S: Final = 60.0
_UNKNOWN_ANSWER: Final = 404
_PROBLEM_PREFIX: Final = "urn:lentigo:problem:"
_MEMBERS: Final = ("id", "model", "quality", "probabilities", "malignancy", "notice")


@dataclass(frozen=True, slots=True)
class ModelInUse:
    """The version that would answer now."""

    name: str
    version: str
    digest: str


class InferenceService:
    """The inference service; for several threads."""

    def __init__(
        self,
        http: HttpServer,
        *,
        model_lasts_s: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Ask it over this connection.

        Args:
            http: the connection.
            model_lasts_s: how long what `model_in_use` said is taken for true.
            clock: seconds, for that.
            now: the time, UTC, for answers.
        """
        self._http = http
        self._model_lasts_s = model_lasts_s
        self._clock = clock
        self._now = now
        self._guard = threading.Lock()
        self._model: ModelInUse | None = None
        self._asked_at = -float("inf")

    def model_in_use(self) -> ModelInUse:
        """Return the version in use.

        Raises:
            ServerUnavailableError: the service is away, busy, or has loaded no model.
            TryAgainError: see `HttpServer.ask`.
        """
        with self._guard:
            now = self._clock()
            if self._model is None or now - self._asked_at > self._model_lasts_s:
                self._model = self._ask_for_model()
                self._asked_at = now
            return self._model

    def predict(self, image: FrameImage) -> Answer:
        """Return the answer to an image, with the map of its diagnosis if it has one.

        Raises:
            ImageRefusedError: the service does not accept the image; the message has its reason.
            ServerUnavailableError, TryAgainError: see `HttpServer.ask`.
        """
        reply = self._http.ask(
            "POST",
            _PREDICTIONS,
            content=image.data,
            headers={"Content-Type": image.media_type},
            params={"explain": "true"},
        )
        if reply.status in _OF_THE_IMAGE:
            raise ImageRefusedError(
                f"The inference service does not accept the image: {self._problem(reply)}."
            )
        if not reply.ok:
            raise self._http.unexpected(reply)
        prediction = self._http.json_of(reply)
        if not isinstance(prediction, dict) or any(name not in prediction for name in _MEMBERS):
            raise TryAgainError("The inference service does not answer as Lentigo does.", "service")
        model = _model_of(prediction["model"])
        return Answer(
            prediction=prediction,
            model={**prediction["model"], "digest": model.digest},
            received_at=self._now(),
            frame=image.frame,
        )

    def give_feedback(self, answer_id: str, diagnosis: str, confirmed_by: str) -> None:
        """Tell the service what an answer was confirmed to be; the latest feedback counts.

        Args:
            answer_id: `id` of the answer.
            diagnosis: one of the seven, or `other`.
            confirmed_by: how it was confirmed, in the service's words.

        Raises:
            FeedbackRefusedError: it keeps no audit trail, or has no such answer in it.
            ServerUnavailableError: of `feedback`, if our key lacks its scope; else see
                `HttpServer.ask`.
            TryAgainError: see `HttpServer.ask`.
        """
        reply = self._http.ask(
            "POST",
            f"{_PREDICTIONS}/{quote(answer_id, safe='')}/feedback",
            content=json.dumps({"diagnosis": diagnosis, "confirmed_by": confirmed_by}).encode(),
            headers={"Content-Type": "application/json"},
            expected=_NO_SCOPE,
        )
        if reply.status in _NO_SCOPE:
            raise ServerUnavailableError(
                f"The inference service does not take feedback from the gateway's key "
                f"({reply.status}). Give it the scope feedback.",
                "feedback",
                _NO_SCOPE_RETRY_S,
            )
        if reply.status == _UNKNOWN_ANSWER or reply.status in _OF_THE_IMAGE:
            raise FeedbackRefusedError(
                f"The inference service takes no feedback on an answer: {self._problem(reply)}. It "
                "needs an audit trail that still has the answer."
            )
        if not reply.ok:
            raise self._http.unexpected(reply)

    def healthy(self) -> bool:
        """Return whether the service is ready.

        Raises:
            ServerUnavailableError, TryAgainError: it is not.
        """
        return self._http.ask("GET", _READY).ok

    def _ask_for_model(self) -> ModelInUse:
        found = self._http.get_json(_MODELS)
        models = found.get("models") if isinstance(found, Mapping) else None
        if not isinstance(models, list):
            raise TryAgainError("The inference service does not answer as Lentigo does.", "service")
        if not models:
            raise ServerUnavailableError(
                "The inference service has loaded no model yet.", "service"
            )
        return _model_of(models[0])

    def _problem(self, reply: Reply) -> str:
        """Return the last part of a problem's type, which says nothing of the image's content."""
        try:
            problem = str(self._http.json_of(reply)["type"])
        except (TryAgainError, KeyError, TypeError):
            return str(reply.status)
        return problem.removeprefix(_PROBLEM_PREFIX)[:64]


def _model_of(member: Any) -> ModelInUse:  # noqa: ANN401 - JSON of another process
    """Return the version in a response."""
    try:
        return ModelInUse(str(member["name"]), str(member["version"]), str(member["digest"]))
    except (KeyError, TypeError) as error:
        raise TryAgainError(
            "The inference service does not say which model answers, with its digest. Update it to "
            "the gateway's release.",
            "service",
        ) from error
