"""The OpenAPI document, and what routes add to it: request bodies and problem responses."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from lentigo_contract.labels import RESEARCH_NOTICE
from lentigo_inference.api.dependencies import scope_for
from lentigo_inference.api.open_inference.schemas import (
    InferRequest,
    LoadRequest,
    RepositoryIndexRequest,
)
from lentigo_inference.api.predictions.schemas import BatchResponse
from lentigo_inference.api.problems import MEDIA_TYPE
from lentigo_inference.api.schemas import FeedbackRequest, Problem, example_of
from lentigo_inference.problem_types import INTERNAL, INVALID_PARAMETER, PROBLEMS, ProblemType
from lentigo_inference.security.api_keys import Scope

Responses = dict[int | str, dict[str, Any]]

PREDICTIONS: Final = "predictions"
"""Tag of every route that predicts. Under overload, requests for these are refused early."""

# These are read by hand, within limits and with any Content-Type, so FastAPI does not know them.
_BODIES: Final[tuple[type[BaseModel], ...]] = (
    FeedbackRequest,
    InferRequest,
    LoadRequest,
    RepositoryIndexRequest,
)

_BINARY: Final = {"type": "string", "format": "binary"}

_REFERENCE: Final = "#/components/schemas/"
_SCHEMA: Final = {"$ref": f"{_REFERENCE}Problem"}

_REQUEST_ID: Final = {
    "description": "As sent, or made by the service. The log names the request by it.",
    "schema": {"type": "string"},
}
_RETRY_AFTER: Final = {
    "description": "Seconds to wait before the next try.",
    "schema": {"type": "integer", "minimum": 1},
}

_SECURITY_SCHEMES: Final = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, or a token (JWT) of the issuer that the service trusts.",
    },
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
_KEYS: Final[list[dict[str, list[str]]]] = [{"bearer": []}, {"apiKey": []}]
# Without a key file, only administration needs a key.
_OPTIONAL_KEYS: Final[list[dict[str, list[str]]]] = [*_KEYS, {}]


def problem_responses(*statuses: int) -> Responses:
    """Describe the problems that a route can respond with, with an example of each type."""
    problems: Responses = {status: _describe_problems(status) for status in statuses}
    return {
        **problems,
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
    """Describe a JSON body that the route reads by itself.

    Args:
        model: one of `_BODIES`.
        required: whether the body may be left out.
        description: of the body.
        others: schemas of further media types, by media type.
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


def image_body(field: str) -> dict[str, Any]:
    """Describe a body that is one image, as a form with that field or as the raw body."""
    return {
        "requestBody": {
            "required": True,
            "description": "The image, as a form or as the raw body. Its content decides its type.",
            "content": {
                "multipart/form-data": {"schema": _form({field: _BINARY})},
                "image/*": {"schema": _BINARY},
                "application/octet-stream": {"schema": _BINARY},
            },
        }
    }


def images_body(field: str, max_images: int) -> dict[str, Any]:
    """Describe a form with up to `max_images` images, each in that field."""
    images = {"type": "array", "minItems": 1, "maxItems": max_images, "items": _BINARY}
    return {
        "requestBody": {
            "required": True,
            "description": f"A form with 1 to {max_images} parts named {field}.",
            "content": {"multipart/form-data": {"schema": _form({field: images})}},
        }
    }


def _form(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": list(properties),
        "additionalProperties": False,
        "properties": properties,
    }


def describe(app: FastAPI) -> None:
    """Replace the app's OpenAPI document with ours, built when it is first requested."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            spec = get_openapi(
                title=app.title,
                version=app.version,
                description=f"Names one of seven diagnoses for a dermatoscopic image. "
                f"{RESEARCH_NOTICE}",
                routes=app.routes,
            )
            schemas = spec.setdefault("components", {}).setdefault("schemas", {})
            schemas["Problem"] = Problem.model_json_schema()
            # FastAPI drops every null, but the example of a response without a diagnosis needs its
            # nulls.
            _, definitions = models_json_schema(
                [*((model, "validation") for model in _BODIES), (BatchResponse, "serialization")],
                ref_template=_REFERENCE + "{model}",
            )
            schemas.update(definitions["$defs"])
            spec["components"]["securitySchemes"] = _SECURITY_SCHEMES
            for path, operations in spec["paths"].items():
                for operation in operations.values():
                    scope = scope_for(path)
                    if scope is not None:
                        _describe_access(operation, scope)
                    _describe_success(operation["responses"]["200"], schemas)
            app.openapi_schema = spec
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _describe_access(operation: dict[str, Any], scope: Scope) -> None:
    """Add the keys that `authorize` asks for, and its problem responses."""
    operation["security"] = _KEYS if scope is Scope.ADMIN else _OPTIONAL_KEYS
    for status in (401, 403, 429):
        operation["responses"].setdefault(str(status), _describe_problems(status))


def _describe_success(response: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Add the header that every response has, and an example of its content."""
    response.setdefault("headers", {})["X-Request-ID"] = _REQUEST_ID
    for media in response.get("content", {}).values():
        schema = media.get("schema", {})
        several = schema.get("type") == "array"
        name = (schema["items"] if several else schema).get("$ref", "").removeprefix(_REFERENCE)
        if name:
            (example,) = schemas[name]["examples"]
            media.setdefault("example", [example] if several else example)


def _describe_problems(status: int) -> dict[str, Any]:
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
