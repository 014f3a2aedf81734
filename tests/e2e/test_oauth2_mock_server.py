"""The service with an issuer that is not ours: npm's oauth2-mock-server, if it is installed.

    npm install --global oauth2-mock-server@9.3.0

Its command is then on the PATH. `tests/inference/security/oidc` has an issuer for every other test.
"""

import hashlib
import hmac
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from tests.e2e.service_process import DEADLINE_S, ServiceProcess, service_process
from tests.fakes import jpeg_bytes
from tests.inference.security.oidc.made_tokens import (
    assembled,
    claims,
    ec_key,
    encoded,
    entry,
    rsa_key,
    signed,
    with_other_content,
)
from tests.ports import free_port

ROOT: Final = Path(__file__).parents[2]
COMMAND: Final = "oauth2-mock-server"
AUDIENCE: Final = "lentigo"

pytestmark = pytest.mark.skipif(
    shutil.which(COMMAND) is None,
    reason="oauth2-mock-server is not installed (npm install --global oauth2-mock-server@9.3.0)",
)


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    """The address of an issuer with one RSA key."""
    port = free_port()
    command = [COMMAND, "-a", "localhost", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        with process.stdout as output:
            # It says so when it listens.
            while f":{port}" not in output.readline():
                assert process.poll() is None
            yield f"http://localhost:{port}"
    finally:
        process.kill()
        process.wait(DEADLINE_S)


@pytest.fixture(scope="module")
def service(issuer: str) -> Iterator[ServiceProcess]:
    settings = {
        "LENTIGO_ENGINE": "litert",
        "LENTIGO_OIDC_ISSUER": issuer,
        "LENTIGO_OIDC_AUDIENCE": AUDIENCE,
        # Its tokens for programs name no subject.
        "LENTIGO_OIDC_NAME_CLAIM": "aud",
    }
    with service_process(ROOT / "models", **settings) as service:
        service.logged("model in use")
        service.logged("issuer keys read", keys=1)
        yield service


def token_of(issuer: str, **wanted: str) -> str:
    form = {"grant_type": "client_credentials", "client_id": "bridge", **wanted}
    token: str = httpx.post(f"{issuer}/token", data=form, timeout=DEADLINE_S).json()["access_token"]
    return token


def predict(service: ServiceProcess, token: str, request_id: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}", "X-Request-ID": request_id}
    return service.client.post("/v1/predictions", content=jpeg_bytes(), headers=headers)


def test_a_token_of_the_issuer_is_accepted(issuer: str, service: ServiceProcess) -> None:
    token = token_of(issuer, aud=AUDIENCE, scope="lentigo:predict")
    assert predict(service, token, "good").status_code == 200
    assert service.logged("request", request_id="good")["key"] == f"oidc:{AUDIENCE}"


def test_a_token_for_another_service_is_refused_in_one_line(
    issuer: str, service: ServiceProcess
) -> None:
    token = token_of(issuer, aud="pacs", scope="lentigo:predict")
    assert predict(service, token, "elsewhere").status_code == 401
    assert service.logged("request", request_id="elsewhere")["reason"] == "wrong-audience"
    assert len([line for line in service.lines if "elsewhere" in line]) == 1


def test_a_token_without_the_scope_is_forbidden(issuer: str, service: ServiceProcess) -> None:
    token = token_of(issuer, aud=AUDIENCE, scope="lentigo:metrics")
    assert predict(service, token, "scope").status_code == 403


def forgeries(issuer: str) -> dict[str, str]:
    """Ten tokens that the issuer never gave, by the reason in the log."""
    published = httpx.get(f"{issuer}/jwks", timeout=DEADLINE_S).json()["keys"][0]
    kid, real = published["kid"], token_of(issuer, aud=AUDIENCE, scope="lentigo:predict")
    public = jwt.PyJWK(published).key
    pem = public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    good = claims(iss=issuer, aud=AUDIENCE)
    content = json.dumps(good).encode()
    head, payload, signature = real.split(".")
    by_forger = rsa_key("forger")
    return {
        "another key": signed(good, by_forger, kid=kid),
        "a key of its own": signed(good, by_forger, kid="mine"),
        "a key in the head": signed(good, by_forger, kid=kid, jwk=entry(by_forger)),
        "no algorithm": assembled({"alg": "none", "kid": kid}, content),
        "the public key as a secret": assembled(
            {"alg": "HS256", "kid": kid},
            content,
            lambda text: hmac.digest(pem, text, hashlib.sha256),
        ),
        "another content": with_other_content(
            real, {**jwt.decode(real, options={"verify_signature": False}), "sub": "chief"}
        ),
        "no signature": f"{head}.{payload}.",
        "another signature": f"{head}.{encoded(content)}.{signature}",
        "another curve": signed(good, ec_key(), "ES256", kid=kid),
        "no token at all": "e30.e30.e30",
    }


def test_ten_forged_tokens_are_refused_in_one_line_each(
    issuer: str, service: ServiceProcess
) -> None:
    forged = forgeries(issuer)
    assert len(forged) == 10
    for number, (forgery, token) in enumerate(forged.items()):
        answer = predict(service, token, f"forged-{number}")
        assert answer.status_code == 401, forgery
    for number in range(len(forged)):
        line = service.logged("request", request_id=f"forged-{number}")
        assert (line["status"], line["problem"]) == (401, "unauthorized")
        assert len([each for each in service.lines if f'"forged-{number}"' in each]) == 1
