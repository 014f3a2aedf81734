"""The example of nginx in front of the service, as it stands in `deploy/`."""

import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from lentigo_inference.security.oidc.tokens import MAX_CHARACTERS
from lentigo_inference.settings import Settings
from tests.e2e.service_process import DEADLINE_S, ServiceProcess, service_process
from tests.fakes import jpeg_bytes, lesion_image
from tests.nginx_conf import AROUND
from tests.ports import free_port

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(
    not (shutil.which("nginx") and shutil.which("openssl")),
    reason="nginx or openssl is not installed (Debian: nginx-light, openssl)",
)

CLIENT = "127.0.0.2"

# How long the service kept idle connections before it had a setting for this.
SHORT_S = 5.5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """nginx's folder, with a certificate for localhost."""
    folder = tmp_path_factory.mktemp("nginx")
    make_certificate_of_its_own(folder, "lentigo", "/CN=localhost")
    return folder


def make_certificate_of_its_own(folder: Path, name: str, subject: str) -> None:
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", subject]
    files = ["-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.crt"]
    names = ["-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*request, *names, *files], check=True, capture_output=True)


@pytest.fixture(scope="module")
def service() -> Iterator[ServiceProcess]:
    """The service with the shipped model, which trusts nginx."""
    settings = {"LENTIGO_ENGINE": "litert", "LENTIGO_TRUSTED_PROXIES": "127.0.0.1"}
    with service_process(ROOT / "models", **settings) as service:
        service.logged("model in use")
        yield service


@contextmanager
def running_nginx(folder: Path, service: ServiceProcess, *, mutual: bool = False) -> Iterator[str]:
    """Run the example in front of the service, and give its address."""
    port = free_port()
    example = (ROOT / "deploy/nginx/lentigo.conf").read_text()
    adapted = {
        "server 127.0.0.1:8000;": f"server 127.0.0.1:{service.address[1]};",
        "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
        "server_name lentigo.example;": "server_name localhost;",
        "/etc/nginx/tls/": f"{folder}/",
    }
    if mutual:
        adapted |= {"#include /etc/nginx/conf.d/": f"include {folder}/"}
        clients = (ROOT / "deploy/nginx/lentigo-clients.inc").read_text()
        assert "/etc/nginx/tls/" in clients
        clients = clients.replace("/etc/nginx/tls/", f"{folder}/")
        (folder / "lentigo-clients.inc").write_text(clients)
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
        yield f"https://localhost:{port}"
    finally:
        subprocess.run([*nginx, "-s", "stop"], check=True, capture_output=True)


@pytest.fixture(scope="module")
def client(folder: Path, service: ServiceProcess) -> Iterator[httpx.Client]:
    """Speaks TLS with nginx, which speaks with the service."""
    with running_nginx(folder, service) as address:
        trusted = ssl.create_default_context(cafile=folder / "lentigo.crt")
        with httpx.Client(
            base_url=address,
            # An address of its own, by which the log tells it from nginx.
            transport=httpx.HTTPTransport(verify=trusted, local_address=CLIENT),
            timeout=DEADLINE_S,
        ) as client:
            yield client


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


def test_the_longest_token_reaches_the_service(
    client: httpx.Client, service: ServiceProcess
) -> None:
    token = {"Authorization": "Bearer " + "x" * MAX_CHARACTERS, "X-Request-ID": "long-token"}
    assert client.get("/v1/models", headers=token).status_code == 200
    service.logged("request", request_id="long-token")


def test_the_metrics_are_not_public(client: httpx.Client) -> None:
    assert client.get("/metrics").status_code == 404


def test_the_log_has_the_address_of_the_client_and_not_of_the_proxy(
    client: httpx.Client, service: ServiceProcess
) -> None:
    client.get("/v2/health/live", headers={"X-Request-ID": "addressed"})
    assert service.logged("request", request_id="addressed")["client"] == CLIENT


def connections_of_the_proxy(service: ServiceProcess) -> set[str]:
    """The ports of nginx's ends, by the kernel's table; all addresses but ours are 127.0.0.1."""
    own = f":{service.address[1]:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    established = "01"
    return {row[2] for row in rows if row[1].endswith(own) and row[3] == established}


def test_the_service_keeps_idle_connections_longer_than_the_proxy(
    client: httpx.Client, service: ServiceProcess
) -> None:
    """Otherwise it closes one just when nginx sends a request through it, which then fails."""
    configured = re.search(
        r"keepalive_timeout (\d+)s;", (ROOT / "deploy/nginx/lentigo.conf").read_text()
    )
    assert configured is not None
    assert int(configured[1]) + 10 < Settings.model_fields["keep_alive_s"].default
    assert predict(client, jpeg_bytes()).status_code == 200
    before = connections_of_the_proxy(service)
    assert before
    with (
        socket.create_connection(service.address, timeout=SHORT_S) as silent,
        # It is left open, and meanwhile time passes.
        pytest.raises(TimeoutError),
    ):
        silent.recv(1)
    assert before <= connections_of_the_proxy(service)
    assert predict(client, jpeg_bytes()).status_code == 200
    assert before <= connections_of_the_proxy(service)


def make_certificate(folder: Path, name: str, authority: str) -> None:
    """As docs/how-to/secure.md says."""
    request = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    files = ["-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.csr"]
    subprocess.run([*request, "-subj", f"/CN={name}", *files], check=True, capture_output=True)
    sign = ["openssl", "x509", "-req", "-in", f"{folder}/{name}.csr", "-days", "1"]
    by = ["-CA", f"{folder}/{authority}.crt", "-CAkey", f"{folder}/{authority}.key"]
    out = ["-CAcreateserial", "-out", f"{folder}/{name}.crt"]
    subprocess.run([*sign, *by, *out], check=True, capture_output=True)


def make_expired_certificate(folder: Path, name: str, authority: str) -> None:
    """One that ended yesterday, which not every openssl makes."""
    issuer = x509.load_pem_x509_certificate((folder / f"{authority}.crt").read_bytes())
    signing = serialization.load_pem_private_key((folder / f"{authority}.key").read_bytes(), None)
    assert isinstance(signing, rsa.RSAPrivateKey)
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=9))
        .not_valid_after(now - timedelta(days=1))
        .sign(signing, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / f"{name}.crt").write_bytes(certificate.public_bytes(pem))
    plain = serialization.NoEncryption()
    text = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    (folder / f"{name}.key").write_bytes(text)


@pytest.fixture(scope="module")
def mutual_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """nginx's folder, with two authorities and the certificates of some machines."""
    folder = tmp_path_factory.mktemp("mutual")
    make_certificate_of_its_own(folder, "lentigo", "/CN=localhost")
    for authority in ("clients", "strangers"):
        make_certificate_of_its_own(folder, authority, f"/CN={authority}")
    make_certificate(folder, "bridge", "clients")
    make_expired_certificate(folder, "expired", "clients")
    make_certificate(folder, "stranger", "strangers")
    # By a machine that was let in, and may not let in others.
    make_certificate(folder, "friend", "bridge")
    return folder


@pytest.fixture(scope="module")
def closed(mutual_folder: Path, service: ServiceProcess) -> Iterator[str]:
    """The address of nginx with client certificates."""
    with running_nginx(mutual_folder, service, mutual=True) as address:
        yield address


def ask(folder: Path, address: str, machine: str | None, request_id: str) -> httpx.Response:
    """Ask for the model as a machine that shows its certificate, if it has one."""
    context = ssl.create_default_context(cafile=folder / "lentigo.crt")
    if machine is not None:
        context.load_cert_chain(folder / f"{machine}.crt", folder / f"{machine}.key")
    with httpx.Client(verify=context, timeout=DEADLINE_S) as client:
        return client.get(f"{address}/v1/models", headers={"X-Request-ID": request_id})


def test_a_machine_with_a_certificate_of_the_hospital_is_let_in(
    mutual_folder: Path, closed: str, service: ServiceProcess
) -> None:
    assert ask(mutual_folder, closed, "bridge", "let-in").status_code == 200
    service.logged("request", request_id="let-in")


@pytest.mark.parametrize("machine", [None, "stranger", "expired", "friend"])
def test_a_machine_without_a_certificate_of_the_hospital_is_refused(
    mutual_folder: Path, closed: str, service: ServiceProcess, machine: str | None
) -> None:
    refused = ask(mutual_folder, closed, machine, f"refused-{machine}")
    assert refused.status_code == 400
    assert "certificate" in refused.text.lower()
    # What is asked next has a line, so an earlier one would be there too.
    assert ask(mutual_folder, closed, "bridge", f"after-{machine}").status_code == 200
    service.logged("request", request_id=f"after-{machine}")
    assert not any(f"refused-{machine}" in line for line in service.lines)
