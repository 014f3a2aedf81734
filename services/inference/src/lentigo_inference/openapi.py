"""The OpenAPI document: every error of every route, as the problem document it is."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from lentigo_contract.labels import RESEARCH_NOTICE
from lentigo_inference.access import scope_for
from lentigo_inference.errors import INVALID_PARAMETER, PROBLEMS, ProblemType
from lentigo_inference.problems import MEDIA_TYPE
from lentigo_inference.schemas import Problem

Responses = dict[int | str, dict[str, Any]]

_SCHEMA: Final = {"$ref": "#/components/schemas/Problem"}

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
    anything = {"description": "Any other error", "content": {MEDIA_TYPE: {"schema": _SCHEMA}}}
    return {**described, "default": anything}


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
            made["components"]["securitySchemes"] = _SECURITY_SCHEMES
            for path, operations in made["paths"].items():
                if scope_for(path) is not None:
                    for operation in operations.values():
                        _describe_access(operation)
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _describe_access(operation: dict[str, Any]) -> None:
    """Add what `access.admit` asks for and answers with."""
    operation["security"] = _SECURITY
    for status in (401, 403, 429):
        operation["responses"].setdefault(str(status), _described(status))


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
