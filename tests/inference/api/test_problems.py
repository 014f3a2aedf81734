import httpx
import pytest
import structlog

from lentigo_contract.errors import EngineError, ImageError, LentigoError, StorageError
from lentigo_contract.repository.store import ModelStore, StoredVersion
from lentigo_engines.base import Images, Prediction
from lentigo_inference.errors import ServingError, UnavailableError
from lentigo_inference.problem_types import PROBLEMS, problem_type
from lentigo_inference.settings import Settings
from tests.inference.live_app import PREDICTIONS, problem_of, running
from tests.models import PlainEngine, publish_plain

anyio = pytest.mark.anyio


def raised(base: type[LentigoError]) -> list[type[LentigoError]]:
    below = base.__subclasses__()
    return [leaf for kind in below for leaf in raised(kind)] if below else [base]


@pytest.mark.parametrize("kind", [*raised(ImageError), *raised(ServingError), EngineError])
def test_every_error_of_a_request_has_its_line_in_the_table(kind: type[LentigoError]) -> None:
    assert kind in PROBLEMS


def test_an_unlisted_error_is_an_internal_error() -> None:
    assert problem_type(StorageError("disk full")).status == 500


def test_every_problem_type_has_its_own_uri() -> None:
    uris = [kind.uri for kind in PROBLEMS.values()]
    assert len(set(uris)) == len(uris)


def test_unavailable_errors_are_503() -> None:
    assert {PROBLEMS[kind].status for kind in raised(UnavailableError)} == {503}


@anyio
@pytest.mark.parametrize("path", ["/nothing", "/v1/models/", "/v1/predictions/x", "/docs"])
async def test_an_unknown_path_is_a_problem(settings: Settings, path: str) -> None:
    async with running(settings) as service:
        response = await service.client.get(path)
    assert response.status_code == 404
    assert problem_of(response)["type"] == "about:blank"


@anyio
async def test_a_wrong_method_is_a_problem_and_tells_the_right_one(settings: Settings) -> None:
    async with running(settings) as service:
        response = await service.client.get(PREDICTIONS)
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"
    assert problem_of(response)["title"] == "Method Not Allowed"


@anyio
async def test_an_invalid_parameter_is_named_and_not_repeated(
    settings: Settings, store: ModelStore
) -> None:
    publish_plain(store, 1)
    async with running(settings) as service:
        response = await service.predict(explain="Jane-Doe")
    assert response.status_code == 400
    assert "explain" in problem_of(response)["detail"]
    assert "Jane-Doe" not in response.text


@anyio
@pytest.mark.parametrize("body", [b"{", b"[]", b'{"ready": "perhaps"}', b"\xff"])
async def test_an_invalid_json_body_is_a_problem(settings: Settings, body: bytes) -> None:
    async with running(settings) as service:
        response = await service.client.post(
            "/v2/repository/index", content=body, headers={"Content-Type": "application/json"}
        )
    assert response.status_code == 400
    problem_of(response)


@anyio
async def test_a_json_body_without_end_is_a_problem(settings: Settings) -> None:
    async with running(settings) as service:
        response = await service.client.post(
            "/v2/repository/index",
            content=b" " * 1_000_000,
            headers={"Content-Type": "application/json"},
        )
    assert response.status_code == 400
    assert "65,536 bytes" in problem_of(response)["detail"]


class FailingEngine(PlainEngine):
    """Passes its warm-up and fails once it is told to."""

    def __init__(self, failure: Exception) -> None:
        super().__init__(1)
        self.failure = failure
        self.broken = False

    def predict(self, images: Images) -> Prediction:
        if self.broken:
            raise self.failure
        return super().predict(images)


@anyio
@pytest.mark.parametrize(
    ("failure", "problem"),
    [
        (EngineError("secret of the runtime"), "engine-failed"),
        (RuntimeError("secret of the runtime"), "internal"),
    ],
)
async def test_an_internal_error_is_500_without_its_cause(
    settings: Settings, store: ModelStore, failure: Exception, problem: str
) -> None:
    publish_plain(store, 1)
    engine = FailingEngine(failure)

    def load(_stored: StoredVersion) -> FailingEngine:
        return engine

    with structlog.testing.capture_logs() as logs:
        async with running(settings, load) as service:
            engine.broken = True
            response = await service.predict()
            live = await service.client.get("/v2/health/live")
    assert response.status_code == 500
    assert problem_of(response)["type"] == f"urn:lentigo:problem:{problem}"
    assert "secret" not in response.text
    assert live.status_code == 200
    assert any(entry["log_level"] == "error" for entry in logs)


@anyio
async def test_outputs_that_are_not_finite_are_a_500(settings: Settings, store: ModelStore) -> None:
    publish_plain(store, 1)

    class LateNan(PlainEngine):
        broken = False

        def predict(self, images: Images) -> Prediction:
            prediction = super().predict(images)
            if self.broken:
                prediction.probabilities[0, 0] = float("nan")
            return prediction

    engine = LateNan(1)
    async with running(settings, lambda _stored: engine) as service:
        engine.broken = True
        response: httpx.Response = await service.predict()
    assert response.status_code == 500
    problem_of(response)
