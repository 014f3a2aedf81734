import socket
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from lentigo_contract.labels import CODES, index_of
from lentigo_trainer.errors import DamagedImagesError, RemoteServiceError
from lentigo_trainer.evaluation.remote import RemotePredictions, RemoteService
from lentigo_trainer.system.connection import KEY_VARIABLE, Connection, connected_to
from lentigo_trainer.system.progress import SilentProgress
from lentigo_trainer.system.retrying import RetryPolicy
from tests.trainer.evaluation.isic import SEVEN
from tests.trainer.evaluation.sets import image_set

SILENT = SilentProgress()
MODEL = {
    "name": "lentigo",
    "version": "3",
    "architecture": "mobilenet",
    "engine": "litert",
    "created": "2026-01-02T03:04:05Z",
    "threshold": 0.125,
}

Handler = Callable[[httpx.Request], httpx.Response]


def answer(sure_of: str = "nv", **changes: Any) -> dict[str, Any]:
    """What the service says of an image."""
    shares = [
        {"code": code, "probability": 0.94 if code == sure_of else 0.01} for code in reversed(CODES)
    ]
    model = {"name": "lentigo", "version": "3"}
    found = {
        "model": model,
        "quality": {"accepted": True},
        "diagnosis": {"code": sure_of, "probability": 0.94, "confident": True},
        "probabilities": shares,
        "malignancy": {"probability": 0.03, "refer": False},
    }
    return found | changes


def problem(status: int, detail: str, **headers: str) -> httpx.Response:
    return httpx.Response(status, json={"detail": detail}, headers=headers)


class Stub:
    """A service: the answers to images in turn, the last one for ever."""

    def __init__(self, *answers: Handler | httpx.Response, model: object = MODEL) -> None:
        self.answers = list(answers)
        self.model = model
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/models":
            return httpx.Response(200, json={"models": [] if self.model is None else [self.model]})
        self.asked.append(request)
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return found if isinstance(found, httpx.Response) else found(request)


def ask(stub: Stub, pauses: list[float] | None = None, **broken: bytes) -> RemotePredictions:
    client = httpx.Client(base_url="http://service.test", transport=httpx.MockTransport(stub))
    waited = [] if pauses is None else pauses
    with client:
        service = RemoteService(Connection(client, RetryPolicy(attempts=3, sleep=waited.append)))
        return service.predict(image_set(SEVEN, broken), SILENT)


def always(**changes: Any) -> Handler:
    return lambda _request: httpx.Response(200, json=answer(**changes))


def test_probabilities_come_in_the_order_of_images_and_labels() -> None:
    predictions = ask(Stub(always(sure_of="mel")))
    assert predictions.probabilities.shape == (len(SEVEN), len(CODES))
    assert (predictions.probabilities.argmax(axis=1) == index_of("mel")).all()
    assert predictions.served.version == 3
    assert predictions.refused == ()


def test_the_decisions_are_those_of_the_service() -> None:
    diagnosis = {"code": "df", "decided_by": "balanced", "confident": None}
    malignancy = {"probability": 0.25}
    found = ask(Stub(always(diagnosis=diagnosis, malignancy=malignancy))).decisions
    assert (found.classes == index_of("df")).all()
    assert found.by == "balanced"
    assert (found.malignancy == 0.25).all()
    assert found.confident is None


def test_a_service_of_an_older_release_decides_for_the_most_probable() -> None:
    found = ask(Stub(always(sure_of="mel"))).decisions
    assert (found.classes == index_of("mel")).all()
    assert found.by == "probable"
    assert found.confident is not None
    assert found.confident.all()


def test_the_bytes_of_the_file_are_sent_as_they_are() -> None:
    stub = Stub(always())
    ask(stub)
    assert {request.content for request in stub.asked} == {read() for read in image_set().readers}
    assert {request.headers["Content-Type"] for request in stub.asked} == {
        "application/octet-stream"
    }


def test_a_busy_service_is_retried_after_retry_after() -> None:
    pauses: list[float] = []
    predictions = ask(Stub(problem(503, "busy", **{"Retry-After": "7"}), always()), pauses)
    assert len(predictions.probabilities) == len(SEVEN)
    assert pauses == [7.0]


def test_a_service_that_stays_busy_is_an_error() -> None:
    with pytest.raises(RemoteServiceError, match="was busy 3 times in a row"):
        ask(Stub(lambda _request: problem(503, "The queue is full.")))


def test_an_image_that_the_service_cannot_decode_is_named() -> None:
    def fail_on_text(request: httpx.Request) -> httpx.Response:
        return problem(422, "It is damaged.") if request.content == b"x" else always()(request)

    message = r"1 of 7 images.*ISIC_9000002 \(It is damaged\.\)"
    with pytest.raises(DamagedImagesError, match=message):
        ask(Stub(fail_on_text), ISIC_9000002=b"x")


@pytest.mark.parametrize("status", [401, 403])
def test_a_missing_key_says_where_to_put_it(status: int) -> None:
    with pytest.raises(RemoteServiceError, match=KEY_VARIABLE):
        ask(Stub(problem(status, "No key.")))


def test_a_version_that_changes_during_the_evaluation_is_an_error() -> None:
    later = {"name": "lentigo", "version": "4"}
    with pytest.raises(RemoteServiceError, match="changed from lentigo 3 to lentigo 4"):
        ask(Stub(always(), always(model=later)))


def test_a_service_without_a_model_is_an_error() -> None:
    with pytest.raises(RemoteServiceError, match="has no model loaded"):
        ask(Stub(always(), model=None))


@pytest.mark.parametrize(
    "model", ["lentigo", {}, MODEL | {"version": "new"}, MODEL | {"created": ""}]
)
def test_a_list_of_models_that_is_not_ours_is_an_error(model: object) -> None:
    with pytest.raises(RemoteServiceError, match="does not respond as Lentigo does"):
        ask(Stub(always(), model=model))


@pytest.mark.parametrize(
    "strange",
    [
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json=[]),
        httpx.Response(200, json=answer(probabilities=[])),
        httpx.Response(200, json=answer(model=None)),
        httpx.Response(200, json=answer(quality=None)),
        httpx.Response(200, json=answer(diagnosis=None)),
        httpx.Response(200, json=answer(diagnosis={"code": "scc", "confident": True})),
        httpx.Response(200, json=answer(malignancy={"probability": None})),
        httpx.Response(
            200, json=answer(diagnosis={"code": "nv", "decided_by": "chance", "confident": True})
        ),
    ],
)
def test_a_response_that_is_not_ours_is_an_error(strange: httpx.Response) -> None:
    with pytest.raises(RemoteServiceError, match="does not respond as Lentigo does"):
        ask(Stub(strange))


def test_an_error_of_the_service_is_quoted() -> None:
    with pytest.raises(RemoteServiceError, match=r"answered 500: It broke\."):
        ask(Stub(problem(500, "It broke.")))


def test_an_image_that_cannot_be_assessed_is_counted_and_still_predicted() -> None:
    stub = Stub(always(quality={"accepted": False, "reasons": ["blurred"]}))
    predictions = ask(stub)
    assert {request.url.params["force"] for request in stub.asked} == {"true"}
    assert predictions.refused == tuple(SEVEN)
    assert len(predictions.probabilities) == len(SEVEN)


def test_an_address_without_a_service_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    # Held, so that no other process can begin to listen on it.
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        with (
            connected_to(f"http://127.0.0.1:{held.getsockname()[1]}", None) as connection,
            pytest.raises(RemoteServiceError, match=r"does not respond .*Start the service"),
        ):
            RemoteService(connection).served()


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://host", "http://", ""])
def test_an_invalid_address_is_an_error(url: str) -> None:
    with pytest.raises(RemoteServiceError, match="is not the address"), connected_to(url, None):
        pass


def test_the_key_is_sent_with_every_request() -> None:
    with connected_to("http://service.test", "secret") as connection:
        assert connection.client.headers["X-API-Key"] == "secret"
