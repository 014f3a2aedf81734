"""The OpenAPI document: every error of every route, as the problem document it is."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from lentigo_contract.labels import RESEARCH_NOTICE
from lentigo_inference.api.dependencies import scope_for
from lentigo_inference.api.open_inference_schemas import (
    InferRequest,
    LoadRequest,
    RepositoryIndexRequest,
)
from lentigo_inference.api.problems import MEDIA_TYPE
from lentigo_inference.api.schemas import BatchAnswer, Problem, example_of
from lentigo_inference.problem_types import INTERNAL, INVALID_PARAMETER, PROBLEMS, ProblemType

Responses = dict[int | str, dict[str, Any]]

PREDICTIONS: Final = "predictions"
"""The tag of every route that predicts; under overload requests for them are refused early."""

# Read by hand, within bounds and whatever their Content-Type, so the framework knows nothing of
# them.
_BODIES: Final[tuple[type[BaseModel], ...]] = (InferRequest, LoadRequest, RepositoryIndexRequest)

_REFERENCE: Final = "#/components/schemas/"
_SCHEMA: Final = {"$ref": f"{_REFERENCE}Problem"}

_REQUEST_ID: Final = {
    "description": "As sent, or made by the service; the log knows the request by it.",
    "schema": {"type": "string"},
}
_RETRY_AFTER: Final = {
    "description": "Seconds after which to try again.",
    "schema": {"type": "integer", "minimum": 1},
}


_SECURITY_SCHEMES: Final = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
# Without a key file no key is needed, except for administration.
_SECURITY: Final[list[dict[str, list[str]]]] = [{"bearer": []}, {"apiKey": []}, {}]


def problem_responses(*statuses: int) -> Responses:
    """Describe the errors a route can answer with, with an example of each kind."""
    described: Responses = {status: _described(status) for status in statuses}
    return {
        **described,
        "default": {
            "description": "Any other error",
            "headers": {"X-Request-ID": _REQUEST_ID},
            "content": {MEDIA_TYPE: {"schema": _SCHEMA, "example": _example(INTERNAL)}},
        },
    }


def json_body(
    model: type[BaseModel],
    *,
    required: bool = False,
    description: str = "JSON, whatever the Content-Type says.",
    others: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Describe a body of JSON that the route reads by itself; `others` are media types besides.

    The model is one of `_BODIES`.
    """
    schema = {"$ref": f"{_REFERENCE}{model.__name__}"}
    content = {"application/json": {"schema": schema, "example": example_of(model)}}
    return {
        "requestBody": {
            "required": required,
            "description": description,
            "content": {**content, **(others or {})},
        }
    }


def describe(app: FastAPI) -> None:
    """Give the app its OpenAPI document, made once when it is first asked for."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(
                title=app.title,
                version=app.version,
                description=f"Names the most likely of seven diagnoses for a dermatoscopic image. "
                f"{RESEARCH_NOTICE}",
                routes=app.routes,
            )
            schemas = made.setdefault("components", {}).setdefault("schemas", {})
            schemas["Problem"] = Problem.model_json_schema()
            # The framework leaves out every null, also of the example of an answer without a
            # diagnosis, which has some.
            _, ours = models_json_schema(
                [*((model, "validation") for model in _BODIES), (BatchAnswer, "serialization")],
                ref_template=_REFERENCE + "{model}",
            )
            schemas.update(ours["$defs"])
            made["components"]["securitySchemes"] = _SECURITY_SCHEMES
            for path, operations in made["paths"].items():
                for operation in operations.values():
                    if scope_for(path) is not None:
                        _describe_access(operation)
                    _describe_success(operation["responses"]["200"], schemas)
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _describe_access(operation: dict[str, Any]) -> None:
    """Add what `access.admit` asks for and answers with."""
    operation["security"] = _SECURITY
    for status in (401, 403, 429):
        operation["responses"].setdefault(str(status), _described(status))


def _describe_success(answer: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Add the header that every answer has, and the example of what it holds."""
    answer.setdefault("headers", {})["X-Request-ID"] = _REQUEST_ID
    for media in answer.get("content", {}).values():
        schema = media.get("schema", {})
        several = schema.get("type") == "array"
        name = (schema["items"] if several else schema).get("$ref", "").removeprefix(_REFERENCE)
        if name:
            (example,) = schemas[name]["examples"]
            media.setdefault("example", [example] if several else example)


def _described(status: int) -> dict[str, Any]:
    kinds = [kind for kind in (INVALID_PARAMETER, *PROBLEMS.values()) if kind.status == status]
    headers = {"X-Request-ID": _REQUEST_ID}
    if status in (429, 503):
        headers["Retry-After"] = _RETRY_AFTER
    return {
        "description": "; or ".join(kind.title for kind in kinds),
        "headers": headers,
        "content": {
            MEDIA_TYPE: {
                "schema": _SCHEMA,
                "examples": {kind.slug: {"value": _example(kind)} for kind in kinds},
            }
        },
    }


def _example(kind: ProblemType) -> dict[str, str | int]:
    return Problem(
        type=kind.uri,
        title=kind.title,
        status=kind.status,
        detail=kind.example,
        instance="urn:lentigo:request:019b1f6e-4a57-7c3e-8d5c-0f8f3a2b7d10",
        error=kind.example,
    ).model_dump()
