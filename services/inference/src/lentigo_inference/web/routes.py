"""`GET /`: the clinician's page, and the files it is made of."""

from typing import Final

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from lentigo_inference.web.assets import page_files

router = APIRouter(include_in_schema=False)

# Everything comes from this service, and nothing is written into the page's markup. `blob:` is the
# image that the reader chose.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)

_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    # Kept, and asked for each time whether it is still the newest.
    "Cache-Control": "no-cache",
}


# These wait for the disk the first time, so they run in a thread.
@router.get("/")
def page(request: Request) -> Response:
    """Give the page."""
    return _answer(request, "index.html")


@router.get("/sw.js")
def service_worker(request: Request) -> Response:
    """Give the service worker, which rules no more than the folder it comes from."""
    return _answer(request, "sw.js")


@router.get("/page/{name:path}")
def page_file(request: Request, name: str) -> Response:
    """Give one of the page's files."""
    return _answer(request, name)


def _answer(request: Request, name: str) -> Response:
    file = page_files().get(name)
    if file is None:
        raise HTTPException(404)
    headers = {**_HEADERS, "ETag": file.etag}
    if file.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(file.content, headers=headers, media_type=file.media_type)
