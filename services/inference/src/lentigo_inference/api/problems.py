"""Errors as RFC 9457 `application/problem+json`, for ours and for the framework's alike."""

import http
import math
from collections.abc import Mapping
from typing import Final

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from lentigo_contract.errors import LentigoError
from lentigo_inference.api.schemas import Problem
from lentigo_inference.errors import (
    RateLimitedError,
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

# nginx's code for a client that closed the connection; nobody receives it, but the log shows it.
_CLIENT_GONE: Final = 499


def install_problem_handlers(app: FastAPI) -> None:
    """Make every error of the app, its routes and the framework a problem document."""
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
    """Give a problem document."""
    return _response(request_id, kind.uri, kind.title, kind.status, detail, headers)


def unexpected_problem(request_id: str) -> Response:
    """Give the answer to an error nobody foresaw, which says nothing of its cause."""
    return problem_response(request_id, INTERNAL, FAILED)


async def refusal(request: Request, error: Exception) -> Response:
    """Give the answer to a request that failed with an error of ours, and note it for the log."""
    assert isinstance(error, LentigoError)  # noqa: S101 - it was registered for no other
    kind, detail = problem_type(error), _detail_of(error)
    headers = {}
    if isinstance(error, UnavailableError | RateLimitedError):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_s)))
    if isinstance(error, UnauthorizedError):
        # RFC 9110, section 11.6.1: a 401 says how to do better; RFC 6750 names the scheme.
        headers["WWW-Authenticate"] = 'Bearer realm="lentigo"'
    if isinstance(error, UploadTimeoutError):
        # The rest of the body may still come, or never.
        headers["Connection"] = "close"
    request.state.record.refuse(kind.slug)
    return problem_response(request.state.request_id, kind, detail, headers)


def problem_of_error(request: Request, error: LentigoError) -> Problem:
    """Give the problem document of one image of a request; the other images are answered."""
    kind = problem_type(error)
    request.state.record.refuse_image(kind.slug)
    request_id = request.state.request_id
    return _problem(request_id, kind.uri, kind.title, kind.status, _detail_of(error))


def _detail_of(error: LentigoError) -> str:
    """Tell what went wrong; our own failures are for the log alone."""
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
    404: "There is nothing at this path. GET /openapi.json lists what there is.",
    405: "This path does not take this method. The Allow header lists those it takes.",
}


async def _on_invalid_parameter(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - see above
    # What was sent is not repeated: it may be anything.
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
    return JSONResponse(problem.model_dump(), status, headers, MEDIA_TYPE)


def _problem(request_id: str, uri: str, title: str, status: int, detail: str) -> Problem:
    return Problem(
        type=uri,
        title=title,
        status=status,
        detail=detail,
        instance=f"urn:lentigo:request:{request_id}",
        error=detail,
    )
