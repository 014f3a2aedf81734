"""The shipped model, read by a public client of the Open Inference Protocol."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tritonclient.http as triton

from lentigo_contract.imaging.read import read_image
from lentigo_contract.labels import CODES
from lentigo_contract.repository.store import ModelStore
from tests.e2e.service_process import DEADLINE_S, ServiceProcess, service_process
from tests.fakes import jpeg_bytes, lesion_image

MODELS = Path(__file__).parents[2] / "models"
VERSION = str(ModelStore(MODELS).latest())


@pytest.fixture(scope="module")
def service() -> Iterator[ServiceProcess]:
    with service_process(MODELS, LENTIGO_ENGINE="litert") as service:
        service.logged("model in use")
        yield service


@pytest.fixture
def client(service: ServiceProcess) -> Iterator[triton.InferenceServerClient]:
    address = service.url.removeprefix("http://")
    client = triton.InferenceServerClient(
        address, connection_timeout=DEADLINE_S, network_timeout=DEADLINE_S
    )
    with client:
        yield client


def test_triton_reads_metadata_and_readiness(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("lentigo")
    assert client.is_model_ready("lentigo", VERSION)
    metadata = client.get_model_metadata("lentigo", VERSION)
    assert metadata["platform"] == "litert_tflite"
    assert {each["name"]: each["shape"] for each in metadata["outputs"]} == {
        "probabilities": [-1, 7],
        "activation_map": [-1, 7, 7, 7],
        "unlikeness": [-1],
    }
    (entry,) = client.get_model_repository_index()
    assert (entry["name"], entry["version"], entry["state"]) == ("lentigo", VERSION, "READY")


@pytest.mark.parametrize("binary", [True, False], ids=["binary", "JSON"])
def test_triton_gets_the_answers_that_the_rest_interface_gives(
    client: triton.InferenceServerClient, service: ServiceProcess, binary: bool
) -> None:
    files = [jpeg_bytes(lesion_image(seed, code)) for seed, code in enumerate(CODES[:3])]
    pixels = np.stack([read_image(data).pixels for data in files])
    tensor = triton.InferInput("image", list(pixels.shape), "UINT8")
    tensor.set_data_from_numpy(pixels, binary_data=binary)
    wanted = triton.InferRequestedOutput("probabilities", binary_data=binary)
    found = client.infer("lentigo", [tensor], outputs=[wanted]).as_numpy("probabilities")
    assert found is not None
    assert found.shape == (3, 7)
    for data, row in zip(files, found, strict=True):
        # Lesions drawn by code are unlike any that it learnt from.
        answer = service.client.post("/v1/predictions?force=true", content=data).json()
        served = {entry["code"]: entry["probability"] for entry in answer["probabilities"]}
        assert [served[code] for code in CODES] == pytest.approx(row, abs=1e-5)
