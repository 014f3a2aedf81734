"""Errors as RFC 9457 `application/problem+json`, our own and those of FastAPI."""

import http
import math
from collections.abc import Mapping
from typing import Final

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from lentigo_contract.errors import LentigoError
from lentigo_inference.api.schemas import Problem
from lentigo_inference.errors import (
    ForbiddenError,
    MalformedHttpError,
    RateLimitedError,
    Unauthorized,
    UnauthorizedError,
    UnavailableError,
    UploadTimeoutError,
)
from lentigo_inference.problem_types import (
    FAILED,
    INTERNAL,
    INVALID_PARAMETER,
    ProblemType,
    problem_type,
)

_log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

MEDIA_TYPE: Final = "application/problem+json"

# nginx's code for a client that closed the connection. Only the log shows it.
_CLIENT_GONE: Final = 499


def install_problem_handlers(app: FastAPI) -> None:
    """Turn every error of the routes and of FastAPI into a problem document."""
    app.add_exception_handler(LentigoError, refusal)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_invalid_parameter)
    app.add_exception_handler(ClientDisconnect, _on_disconnect)


def problem_response(
    request_id: str,
    kind: ProblemType,
    detail: str,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return a problem document as a response."""
    return _response(request_id, kind.uri, kind.title, kind.status, detail, headers)


def unexpected_problem(request_id: str) -> Response:
    """Return the response to an unexpected error, which does not reveal the cause."""
    return problem_response(request_id, INTERNAL, FAILED)


async def refusal(request: Request, error: Exception) -> Response:
    """Return the response to one of our own errors, and note it for the log."""
    assert isinstance(error, LentigoError)  # noqa: S101 - registered for this type only
    kind, detail = problem_type(error), _detail_of(error)
    headers = {}
    if isinstance(error, UnavailableError | RateLimitedError):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_s)))
    if isinstance(error, UnauthorizedError | ForbiddenError):
        headers["WWW-Authenticate"] = _challenge(error)
    if isinstance(error, UnauthorizedError):
        request.state.record.unauthorized = error.reason
        request.state.record.key = error.key
    if isinstance(error, UploadTimeoutError | MalformedHttpError):
        # The rest of the body may still come, or cannot be found.
        headers["Connection"] = "close"
    request.state.record.refuse(kind.slug)
    return problem_response(request.state.request_id, kind, detail, headers)


def _challenge(error: UnauthorizedError | ForbiddenError) -> str:
    """Return WWW-Authenticate: the scheme (RFC 9110, section 11.6.1), and why (RFC 6750)."""
    members = {"realm": "lentigo"}
    if isinstance(error, ForbiddenError):
        if error.scope is not None:
            members |= {"error": "insufficient_scope", "scope": error.scope}
    elif error.reason is not Unauthorized.NO_CREDENTIALS:
        # The messages have no quotation mark and no backslash.
        members |= {"error": "invalid_token", "error_description": str(error)}
    return "Bearer " + ", ".join(f'{name}="{value}"' for name, value in members.items())


def problem_of_error(request: Request, error: LentigoError) -> Problem:
    """Return the problem document for one image of a batch."""
    kind = problem_type(error)
    request.state.record.refuse_image(kind.slug)
    request_id = request.state.request_id
    return _problem(request_id, kind.uri, kind.title, kind.status, _detail_of(error))


def _detail_of(error: LentigoError) -> str:
    """Return what went wrong; the causes of internal errors go only to the log."""
    if problem_type(error).status != http.HTTPStatus.INTERNAL_SERVER_ERROR:
        return str(error)
    _log.error("request failed", reason=str(error), exc_info=error)
    return FAILED


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - see above
    title = http.HTTPStatus(error.status_code).phrase
    request.state.record.refuse(title.lower().replace(" ", "-"))
    # RFC 9457, section 4.2.1: about:blank means no more than the status itself.
    return _response(
        request.state.request_id,
        "about:blank",
        title,
        error.status_code,
        _DETAILS.get(error.status_code, error.detail),
        error.headers,
    )


_DETAILS: Final = {
    404: "There is nothing at this path. GET /openapi.json lists all paths.",
    405: "This path does not support this method. The Allow header lists those it supports.",
}


async def _on_invalid_parameter(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - see above
    # The input is not repeated, because it may be anything.
    detail = "; ".join(
        f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors()
    )
    request.state.record.refuse(INVALID_PARAMETER.slug)
    return problem_response(request.state.request_id, INVALID_PARAMETER, detail)


async def _on_disconnect(_request: Request, _error: Exception) -> Response:
    return Response(status_code=_CLIENT_GONE)


def _response(
    request_id: str,
    uri: str,
    title: str,
    status: int,
    detail: str,
    headers: Mapping[str, str] | None,
) -> Response:
    problem = _problem(request_id, uri, title, status, detail)
    return Response(problem.model_dump_json(), status, headers, MEDIA_TYPE)


def _problem(request_id: str, uri: str, title: str, status: int, detail: str) -> Problem:
    return Problem(
        type=uri,
        title=title,
        status=status,
        detail=detail,
        instance=f"urn:lentigo:request:{request_id}",
        error=detail,
    )
