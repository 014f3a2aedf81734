"""Requests generated from the OpenAPI document, good and bad, against the real application."""

from collections.abc import Iterator
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as trying
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from lentigo_contract.repository.store import ModelStore
from lentigo_inference.security.api_keys import Scope, add_key, make_key
from lentigo_inference.settings import Settings
from tests.fakes import jpeg_bytes
from tests.inference.network import Listening, listening
from tests.models import publish_plain

# Whether what the service says is what its document says it may say.
CONFORMANCE = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
]

OCTETS = "application/octet-stream"


@pytest.fixture
def service(settings: Settings, store: ModelStore, tmp_path: Path) -> Iterator[Listening]:
    publish_plain(store, 1)
    with listening(settings.model_copy(update={"key_file": tmp_path / "keys.json"})) as service:
        yield service


@pytest.fixture
def key(tmp_path: Path) -> str:
    """A key for everything."""
    record, text = make_key("tester", frozenset(Scope))
    add_key(tmp_path / "keys.json", record)
    return text


def assert_honest(response: Any) -> None:
    """A 5xx is honest if it is 503 and says when to try again."""
    if response.status_code >= 500:
        assert response.status_code == 503
        assert response.headers["Retry-After"]


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_every_operation_responds_as_the_openapi_document_says(
    key: str, service: Listening, mode: GenerationMode
) -> None:
    schemathesis.openapi.media_type(OCTETS, st.sampled_from([jpeg_bytes(), b"", b"no image"]))
    document = schemathesis.openapi.from_url(f"{service.url}/openapi.json")
    tried: set[str] = set()
    with requests.Session() as session:
        session.headers["X-API-Key"] = key
        for found in document.get_all_operations():
            assert isinstance(found, Ok)
            operation = found.ok()

            @trying(
                max_examples=12,
                derandomize=True,
                database=None,
                deadline=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.as_strategy(generation_mode=mode))
            def answers(case: Any) -> None:
                response = case.call(session=session)
                tried.add(f"{case.method} {case.operation.path}")
                assert_honest(response)
                case.validate_response(response, checks=CONFORMANCE)

            # Where all there is to send is any text in a path, there is nothing to get wrong.
            with suppress(Unsatisfiable) if mode.is_negative else nullcontext():
                answers()
    asked = {path for _method, path in (each.split(" ", 1) for each in tried)}
    assert asked >= {"/v1/predictions", "/v1/predictions:batch", "/v2/models/{model}/infer"}
    assert len(asked) > 12 or mode.is_negative
