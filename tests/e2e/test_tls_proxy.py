"""The example of nginx in front of the service, as it stands in `deploy/`."""

import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.service_process import DEADLINE_S, service_process
from tests.fakes import jpeg_bytes, lesion_image
from tests.ports import free_port

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(
    not (shutil.which("nginx") and shutil.which("openssl")),
    reason="nginx or openssl is not installed (Debian: nginx-light, openssl)",
)

# What Debian's own nginx.conf has around the files of conf.d, reduced to what a test needs.
AROUND = """
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/lentigo.conf;
}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """nginx's folder, with a certificate for localhost."""
    folder = tmp_path_factory.mktemp("nginx")
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
    files = ["-keyout", f"{folder}/lentigo.key", "-out", f"{folder}/lentigo.crt"]
    names = ["-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*request, *names, *files], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[httpx.Client]:
    """Speaks TLS with nginx, which speaks with the service and the shipped model."""
    port = free_port()
    with service_process(ROOT / "models", LENTIGO_ENGINE="litert") as service:
        service.logged("model in use")
        example = (ROOT / "deploy/nginx/lentigo.conf").read_text()
        adapted = {
            "server 127.0.0.1:8000;": f"server 127.0.0.1:{service.address[1]};",
            "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
            "server_name lentigo.example;": "server_name localhost;",
            "/etc/nginx/tls/": f"{folder}/",
        }
        for place, here in adapted.items():
            assert place in example
            example = example.replace(place, here)
        (folder / "lentigo.conf").write_text(example)
        (folder / "nginx.conf").write_text(AROUND.format(folder=folder))
        nginx = ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")]
        # It goes into the background once it listens.
        started = subprocess.run(nginx, capture_output=True, text=True, check=False)
        assert started.returncode == 0, started.stderr
        try:
            trusted = ssl.create_default_context(cafile=folder / "lentigo.crt")
            url = f"https://localhost:{port}"
            with httpx.Client(base_url=url, verify=trusted, timeout=DEADLINE_S) as client:
                yield client
        finally:
            subprocess.run([*nginx, "-s", "stop"], check=True, capture_output=True)


def predict(client: httpx.Client, image: bytes) -> httpx.Response:
    return client.post("/v1/predictions", content=image, headers={"Content-Type": "image/jpeg"})


def test_it_answers_over_tls_and_asks_for_tls_from_now_on(client: httpx.Client) -> None:
    response = predict(client, jpeg_bytes())
    assert response.status_code == 200
    assert response.json()["model"]["name"] == "lentigo"
    assert "max-age" in response.headers["Strict-Transport-Security"]


def test_without_tls_there_is_no_response(client: httpx.Client) -> None:
    plain = client.base_url.copy_with(scheme="http")
    assert httpx.get(f"{plain}/v2/health/live", timeout=DEADLINE_S).status_code == 400


def test_a_large_image_goes_through_memory_alone(client: httpx.Client, folder: Path) -> None:
    image = jpeg_bytes(lesion_image(1, "mel", (3000, 2000)), quality=100)
    assert len(image) > 2**20
    assert predict(client, image).status_code == 200
    assert [path for path in (folder / "body").rglob("*") if path.is_file()] == []
    log = (folder / "error.log").read_text()
    assert "temporary file" not in log


def test_a_refusal_of_the_service_comes_through(client: httpx.Client) -> None:
    response = predict(client, bytes(21 * 2**20))
    assert response.status_code in {413, 415}
    assert response.headers["content-type"].startswith("application/problem+json")


def test_the_metrics_are_not_public(client: httpx.Client) -> None:
    assert client.get("/metrics").status_code == 404
