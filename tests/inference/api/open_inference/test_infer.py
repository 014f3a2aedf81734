import json
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from lentigo_contract.repository.store import ModelStore
from lentigo_inference.api.open_inference.tensors import HEADER, IMAGE_BYTES, MAX_JSON_BYTES
from lentigo_inference.settings import Settings
from tests.fakes import made_unlikeness
from tests.inference.live_app import Running, problem_of, running
from tests.inference.network import listening
from tests.models import expected, publish_plain

INFER = "/v2/models/lentigo/infer"
IMAGES = np.random.default_rng(4).integers(0, 256, (32, 224, 224, 3), dtype=np.uint8)


def described(images: np.ndarray[Any, Any], **changes: object) -> dict[str, Any]:
    tensor = {"name": "image", "datatype": "UINT8", "shape": list(images.shape), **changes}
    return {"inputs": [tensor]}


async def send_binary(
    service: Running, images: np.ndarray[Any, Any], length: str | None = None, **changes: object
) -> httpx.Response:
    parameters = {"binary_data_size": images.nbytes}
    head = json.dumps(described(images, parameters=parameters, **changes)).encode()
    return await service.client.post(
        INFER, content=head + images.tobytes(), headers={HEADER: length or str(len(head))}
    )


@pytest.mark.anyio
async def test_json_and_binary_tensors_get_the_same_outputs(
    settings: Settings, store: ModelStore
) -> None:
    publish_plain(store, 1)
    truth = expected(IMAGES[:2], 1)
    nested = IMAGES[:2].tolist()
    flat = IMAGES[:2].ravel().tolist()
    async with running(settings) as service:
        for data in (nested, flat):
            response = await service.client.post(INFER, json=described(IMAGES[:2], data=data))
            assert response.status_code == 200
            output, activation = response.json()["outputs"]
            assert (activation["name"], activation["shape"]) == ("activation_map", [2, 7, 7, 7])
            assert (output["name"], output["datatype"]) == ("probabilities", "FP32")
            assert output["shape"] == [2, 7]
            np.testing.assert_allclose(output["data"], truth.probabilities.ravel(), atol=1e-6)
        binary = await send_binary(service, IMAGES)
        answer = binary.json()
        assert (answer["model_name"], answer["model_version"]) == ("lentigo", "1")
        np.testing.assert_allclose(
            answer["outputs"][0]["data"], expected(IMAGES, 1).probabilities.ravel(), atol=1e-6
        )
        version = await service.client.post(
            "/v2/models/lentigo/versions/1/infer",
            json=described(IMAGES[:1], data=flat[:IMAGE_BYTES]),
        )
        assert version.status_code == 200


def without(body: dict[str, Any], name: str) -> dict[str, Any]:
    del body["inputs"][0][name]
    return body


ONE = IMAGES[:1]
BAD: dict[str, Callable[[], object]] = {
    "no input": lambda: {"inputs": []},
    "not a request": lambda: [1, 2],
    "another name": lambda: described(ONE, name="x", data=[0] * IMAGE_BYTES),
    "another type": lambda: described(ONE, datatype="FP32", data=[0] * IMAGE_BYTES),
    "another shape": lambda: described(ONE, shape=[1, 3, 224, 224], data=[0] * IMAGE_BYTES),
    "no image": lambda: described(ONE, shape=[0, 224, 224, 3], data=[]),
    "too many as JSON": lambda: described(IMAGES, data=[0]),
    "huge shape": lambda: described(ONE, shape=[10**30, 224, 224, 3], data=[0]),
    "no data": lambda: described(ONE),
    "too few": lambda: described(ONE, data=[0] * (IMAGE_BYTES - 1)),
    "too large a number": lambda: described(ONE, data=[256] * IMAGE_BYTES),
    "a negative number": lambda: described(ONE, data=[-1] * IMAGE_BYTES),
    "a fraction": lambda: described(ONE, data=[0.5] * IMAGE_BYTES),
    "truth": lambda: described(ONE, data=[True] * IMAGE_BYTES),
    "a text": lambda: described(ONE, data=["0"] * IMAGE_BYTES),
    "ragged": lambda: described(ONE, data=[[0], 1]),
    "promised in binary": lambda: described(ONE, parameters={"binary_data_size": IMAGE_BYTES}),
    "Triton's classification": lambda: described(ONE, data=[0] * IMAGE_BYTES)
    | {"outputs": [{"name": "probabilities", "parameters": {"classification": 3}}]},
    "Triton's shared memory": lambda: described(
        ONE, data=[0] * IMAGE_BYTES, parameters={"shared_memory_region": "a"}
    ),
    "another output": lambda: described(ONE, data=[0] * IMAGE_BYTES) | {"outputs": [{"name": "x"}]},
}  # fmt: skip


@pytest.mark.anyio
async def test_a_wrong_tensor_is_refused_with_detail_and_error(
    settings: Settings, store: ModelStore
) -> None:
    publish_plain(store, 1)
    async with running(settings) as service:
        for name, body in BAD.items():
            response = await service.client.post(INFER, content=json.dumps(body()))
            assert response.status_code == 400, name
            assert problem_of(response)["error"]
        for text in (b"", b"{", b"[" * 100_000, b"\xff\xfe"):
            assert (await service.client.post(INFER, content=text)).status_code == 400
        for length in ("-1", "x", "99999999", "0", "5"):
            assert (await send_binary(service, ONE, length)).status_code == 400
        too_long = await service.client.post(INFER, content=b" " * (MAX_JSON_BYTES + 1))
        assert too_long.status_code == 413
        packed = await service.client.post(
            INFER, content=b"{}", headers={"Content-Encoding": "gzip"}
        )
        assert packed.status_code == 415
        for path in ("/v2/models/other/infer", "/v2/models/lentigo/versions/9/infer"):
            assert (await service.client.post(path, json=described(ONE))).status_code == 404
        assert (await send_binary(service, ONE)).status_code == 200


@pytest.mark.anyio
async def test_without_outputs_the_response_has_all_that_the_metadata_lists(
    settings: Settings, store: ModelStore
) -> None:
    """Open Inference Protocol, version 2: `outputs` is optional; by default all are returned."""
    publish_plain(store, 1, unlikeness=made_unlikeness())
    async with running(settings) as service:
        listed = (await service.client.get("/v2/models/lentigo")).json()["outputs"]
        sent = (await send_binary(service, ONE)).json()["outputs"]
    assert [each["name"] for each in sent] == [each["name"] for each in listed]
    assert len(sent) == 3


@pytest.mark.anyio
async def test_more_images_than_may_ever_wait_are_413(
    settings: Settings, store: ModelStore
) -> None:
    publish_plain(store, 1)
    narrow = settings.model_copy(update={"queue_size": 2})
    async with running(narrow) as service:
        refused = await send_binary(service, IMAGES[:3])
        answered = await send_binary(service, IMAGES[:2])
    assert (refused.status_code, answered.status_code) == (413, 200)
    assert problem_of(refused)["type"] == "urn:lentigo:problem:too-many-images"
    assert "retry-after" not in refused.headers


def test_tritons_own_client_reads_and_infers(settings: Settings, store: ModelStore) -> None:
    publish_plain(store, 1)
    publish_plain(store, 2)
    truth = expected(IMAGES[:3], 2)
    with listening(settings) as service:
        client = triton.InferenceServerClient(service.url.removeprefix("http://"))
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("lentigo")
        assert not client.is_model_ready("lentigo", "1")
        assert client.get_server_metadata()["name"] == "lentigo"
        metadata = client.get_model_metadata("lentigo")
        assert metadata["inputs"][0]["datatype"] == "UINT8"
        assert [entry["state"] for entry in client.get_model_repository_index()] == [
            "UNAVAILABLE",
            "READY",
        ]
        tensor = triton.InferInput("image", [3, 224, 224, 3], "UINT8")
        for binary in (True, False):
            tensor.set_data_from_numpy(IMAGES[:3], binary_data=binary)
            outputs = [
                triton.InferRequestedOutput(name, binary_data=binary)
                for name in ("activation_map", "probabilities")
            ]
            alone = client.infer("lentigo", [tensor])
            result = client.infer("lentigo", [tensor], outputs=outputs, request_id="7")
            assert result.get_response()["id"] == "7"
            for answer in (alone, result):
                np.testing.assert_allclose(
                    answer.as_numpy("probabilities"), truth.probabilities, atol=1e-6
                )
            np.testing.assert_allclose(
                result.as_numpy("activation_map"), truth.activation_map, atol=1e-5
            )
        with pytest.raises(InferenceServerException, match='The only model served here is "len'):
            client.infer("other", [tensor])
        with pytest.raises(InferenceServerException, match="admin key"):
            client.load_model("lentigo")
        client.close()


@pytest.mark.anyio
async def test_members_that_mlservers_client_leaves_empty_are_null(
    settings: Settings, store: ModelStore
) -> None:
    """Its types write every member they have, and null where nothing was set."""
    publish_plain(store, 1)
    tensor = {
        "name": "image",
        "shape": [1, 224, 224, 3],
        "datatype": "UINT8",
        "parameters": None,
        "data": IMAGES[:1].ravel().tolist(),
    }
    bare = {"id": None, "parameters": None, "inputs": [tensor], "outputs": None}
    wanted = [{"name": "probabilities", "parameters": None}]
    typed = {
        "id": "a-1",
        "parameters": {"content_type": "np", "headers": None},
        "inputs": [{**tensor, "parameters": {"content_type": "np"}}],
        "outputs": wanted,
    }
    truth = expected(IMAGES[:1], 1).probabilities.ravel()
    async with running(settings) as service:
        for body in (bare, typed):
            answer = (await service.client.post(INFER, json=body)).json()
            assert (answer["model_name"], answer["model_version"]) == ("lentigo", "1")
            assert answer.get("id") == body["id"]
            np.testing.assert_allclose(answer["outputs"][0]["data"], truth, atol=1e-6)
        index = await service.client.post("/v2/repository/index", json={"ready": None})
        assert [entry["state"] for entry in index.json()] == ["READY"]
