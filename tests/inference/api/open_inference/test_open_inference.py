import pytest

from lentigo_contract.repository.store import ModelStore
from lentigo_inference import __version__
from lentigo_inference.engines.measured import MeasuredEngine
from lentigo_inference.settings import Settings
from tests.inference.live_app import PREDICTIONS, problem_of, running
from tests.models import load_plain, publish_plain

pytestmark = pytest.mark.anyio


async def test_without_a_model_it_is_live_but_not_ready(settings: Settings) -> None:
    async with running(settings) as service:
        live = await service.client.get("/v2/health/live")
        ready = await service.client.get("/v2/health/ready")
        model = await service.client.get("/v2/models/lentigo/ready")
        prediction = await service.predict()
        models = await service.client.get("/v1/models")
        index = await service.client.post("/v2/repository/index")
    assert (live.status_code, live.json()) == (200, {"live": True})
    for refused in (ready, model, prediction):
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) >= 1
        assert "No model version has been published yet" in problem_of(refused)["detail"]
    assert models.json() == {"models": []}
    assert (index.status_code, index.json()) == (200, [])


async def test_readiness_says_what_is_wrong_but_no_path(
    settings: Settings, store: ModelStore
) -> None:
    broken = publish_plain(store, 1)
    (broken.path / "seed.txt").unlink()
    async with running(settings) as service:
        ready = await service.client.get("/v2/health/ready")
        (entry,) = (await service.client.post("/v2/repository/index")).json()
    assert "seed.txt" in entry["reason"]
    detail = problem_of(ready)["detail"]
    assert detail == "Version 1 could not be loaded. POST /v2/repository/index says why."
    assert "/models" not in ready.text.replace("/v2/repository/index", "")


async def test_readiness_names_no_folder_that_cannot_be_read(
    settings: Settings, store: ModelStore
) -> None:
    store.root.mkdir()
    store.folder.write_text("not a folder")
    async with running(settings) as service:
        ready = await service.client.get("/v2/health/ready")
    assert ready.status_code == 503
    assert str(store.root) not in ready.text


async def test_it_becomes_ready_when_a_version_appears(
    settings: Settings, store: ModelStore
) -> None:
    async with running(settings) as service:
        assert (await service.client.get("/v2/health/ready")).status_code == 503
        publish_plain(store, 1)
        await service.look()
        ready = await service.client.get("/v2/health/ready")
        assert (ready.status_code, ready.json()) == (200, {"ready": True})
        assert (await service.predict()).status_code == 200


async def test_metadata_describes_the_server_and_the_tensors(
    settings: Settings, store: ModelStore
) -> None:
    publish_plain(store, 1)
    async with running(settings) as service:
        server = (await service.client.get("/v2")).json()
        model = (await service.client.get("/v2/models/lentigo")).json()
        version = (await service.client.get("/v2/models/lentigo/versions/1")).json()
    assert (server["name"], server["version"]) == ("lentigo", __version__)
    assert model == version
    assert model["versions"] == ["1"]
    assert model["inputs"] == [{"name": "image", "datatype": "UINT8", "shape": [-1, 224, 224, 3]}]
    assert model["outputs"] == [
        {"name": "probabilities", "datatype": "FP32", "shape": [-1, 7]},
        {"name": "activation_map", "datatype": "FP32", "shape": [-1, 7, 7, 7]},
    ]


async def test_each_version_reports_its_readiness(settings: Settings, store: ModelStore) -> None:
    publish_plain(store, 1)
    publish_plain(store, 2)
    async with running(settings) as service:
        answers = {
            path: await service.client.get(f"/v2/models/{path}/ready")
            for path in (
                "lentigo",
                "lentigo/versions/2",
                "lentigo/versions/1",
                "lentigo/versions/3",
                "lentigo/versions/two",
                "other",
            )
        }
    assert {path: answer.status_code for path, answer in answers.items()} == {
        "lentigo": 200,
        "lentigo/versions/2": 200,
        "lentigo/versions/1": 503,
        "lentigo/versions/3": 404,
        "lentigo/versions/two": 404,
        "other": 404,
    }
    assert answers["lentigo"].json() == {"name": "lentigo", "ready": True}
    assert "Version 2 is in use" in problem_of(answers["lentigo/versions/1"])["detail"]
    assert "lentigo" in problem_of(answers["other"])["detail"]


async def test_the_index_lists_states_with_reasons(settings: Settings, store: ModelStore) -> None:
    publish_plain(store, 1)
    publish_plain(store, 2)
    broken = publish_plain(store, 3)
    (broken.path / "seed.txt").unlink()
    async with running(settings) as service:
        everything = (await service.client.post("/v2/repository/index", json={})).json()
        ready = (await service.client.post("/v2/repository/index", json={"ready": True})).json()
    assert [(entry["version"], entry["state"]) for entry in everything] == [
        ("1", "UNAVAILABLE"),
        ("2", "READY"),
        ("3", "UNAVAILABLE"),
    ]
    assert "is missing" in everything[2]["reason"]
    assert everything[1]["reason"] == ""
    assert ready == [everything[1]]


async def test_v1_models_lists_labels_and_metrics_of_the_model_in_use(
    settings: Settings, store: ModelStore
) -> None:
    publish_plain(store, 1, metrics={"accuracy": 0.9, "auc": None})
    async with running(settings) as service:
        (model,) = (await service.client.get("/v1/models")).json()["models"]
    assert (model["name"], model["version"], model["engine"]) == ("lentigo", "1", "plain")
    assert [label["code"] for label in model["labels"]] == [
        "akiec",
        "bcc",
        "bkl",
        "df",
        "mel",
        "nv",
        "vasc",
    ]
    assert model["metrics"] == {"accuracy": 0.9, "auc": None}
    assert model["license"] == "CC BY-NC 4.0"
    assert model["created"] == "2026-01-02T03:04:05Z"


async def test_v1_models_has_the_speeds_by_which_auto_chose_the_engine(
    settings: Settings, store: ModelStore
) -> None:
    speeds = {"litert": 122.54, "litert-int8": 120.61}
    publish_plain(store, 1)
    async with running(settings, lambda stored: MeasuredEngine(load_plain(stored), speeds)) as auto:
        (chosen,) = (await auto.client.get("/v1/models")).json()["models"]
    async with running(settings) as named:
        (given,) = (await named.client.get("/v1/models")).json()["models"]
    assert chosen["engine_speeds"] == {"litert": 122.5, "litert-int8": 120.6}
    assert given["engine_speeds"] is None


async def test_the_service_describes_itself(settings: Settings) -> None:
    async with running(settings) as service:
        description = await service.client.get("/openapi.json")
    assert description.json()["paths"][PREDICTIONS]
