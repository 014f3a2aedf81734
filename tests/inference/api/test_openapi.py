import json
from typing import Any

import jsonschema_rs
import pytest

from lentigo_inference.api.predictions.schemas import PredictionResponse
from lentigo_inference.api.schemas import Problem
from lentigo_inference.app import create_app
from lentigo_inference.settings import Settings

METHODS = {"get", "post"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return create_app(Settings()).openapi()


def operations(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{method} {path}", operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in METHODS
    ]


def examples(media: dict[str, Any]) -> list[Any]:
    named = [each["value"] for each in media.get("examples", {}).values()]
    return named + ([media["example"]] if "example" in media else [])


def test_every_error_of_every_route_is_a_problem_with_an_example(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        errors = {key: value for key, value in operation["responses"].items() if key != "200"}
        assert "default" in errors, name
        for status, described in errors.items():
            assert list(described["content"]) == ["application/problem+json"], (name, status)
            found = examples(described["content"]["application/problem+json"])
            assert found, (name, status)
            for example in found:
                problem = Problem.model_validate(example)
                assert status in ("default", str(problem.status))


def test_every_answer_of_every_route_has_an_example_that_its_schema_allows(
    document: dict[str, Any],
) -> None:
    for name, operation in operations(document):
        answer = operation["responses"]["200"]
        assert answer["content"], name
        for media_type, media in answer["content"].items():
            found = examples(media)
            assert found, (name, media_type)
            for example in found:
                assert_allowed(example, media["schema"], document)


def test_every_json_body_has_an_example_that_its_schema_allows(document: dict[str, Any]) -> None:
    bodies = {
        name: operation["requestBody"]["content"]["application/json"]
        for name, operation in operations(document)
        if "application/json" in operation.get("requestBody", {}).get("content", {})
    }
    assert len(bodies) >= 4
    for name, media in bodies.items():
        assert examples(media), name
        for example in examples(media):
            assert_allowed(example, media["schema"], document)


def assert_allowed(example: Any, schema: dict[str, Any], document: dict[str, Any]) -> None:
    """Hold an example to its schema, whose references lead into the document."""
    jsonschema_rs.validate({**schema, "components": document["components"]}, example)


def test_the_frameworks_own_error_model_is_gone(document: dict[str, Any]) -> None:
    assert "HTTPValidationError" not in json.dumps(document)


def test_predictions_document_both_ways_to_send_an_image(document: dict[str, Any]) -> None:
    body = document["paths"]["/v1/predictions"]["post"]["requestBody"]
    assert set(body["content"]) == {"multipart/form-data", "image/*", "application/octet-stream"}
    assert set(document["paths"]["/v1/predictions"]["post"]["responses"]) == {
        "200", "400", "401", "403", "406", "408", "413", "415", "422", "429", "500", "503",
        "default",
    }  # fmt: skip


def test_every_schema_reference_exists(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    text = json.dumps(document)
    for name in text.split("#/components/schemas/")[1:]:
        assert name.partition('"')[0] in schemas


def test_the_example_of_a_prediction_is_valid(document: dict[str, Any]) -> None:
    (example,) = document["components"]["schemas"]["PredictionResponse"]["examples"]
    PredictionResponse.model_validate(example)


def test_the_example_of_a_batch_has_an_answer_without_a_diagnosis(document: dict[str, Any]) -> None:
    (example,) = document["components"]["schemas"]["BatchResponse"]["examples"]
    answered, withheld, failed = example["results"]
    assert answered["diagnosis"]
    assert withheld["diagnosis"] is None
    assert PredictionResponse.model_validate(withheld).malignancy.refer
    Problem.model_validate(failed)


def test_only_administration_needs_a_key_without_a_key_file(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        keyless = {} in operation.get("security", [{}])
        closed = "/v2/repository/models/" in name or name == "get /v1/monitoring"
        assert keyless != closed, name
