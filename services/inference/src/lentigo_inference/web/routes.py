"""`GET /`: the web page, and the files it loads."""

from typing import Final

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from lentigo_inference.web.assets import PageFile, page_files
from lentigo_inference.web.offline import CONTROL, WORKER, offline_files

router = APIRouter(include_in_schema=False)

# The page loads everything from this service and has no inline scripts or styles. `blob:` is for
# the images that the user chose.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)

# The worker that answers without the service compiles WebAssembly, which stands in its files.
_WORKER_POLICY: Final = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'"

_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    # The browser may store it, but must check each time whether it is still current.
    "Cache-Control": "no-cache",
}

# Weights by which a client refuses an encoding (RFC 9110, section 12.4.2).
_NEVER: Final = {"q=0", "q=0.0", "q=0.00", "q=0.000"}


# Not async, so that they run in a thread: the first request reads files.
@router.get("/")
def page(request: Request) -> Response:
    """Return the page."""
    return _file_response(request, "index.html")


@router.get("/sw.js")
def service_worker(request: Request) -> Response:
    """Return the service worker. From this path, its scope is the whole page."""
    return _file_response(request, "sw.js")


@router.post("/share")
def shared() -> Response:
    """Open the page. Its service worker takes shared images itself; without it they are lost."""
    return RedirectResponse("./?shared", 303, headers={"Cache-Control": "no-store"})


@router.get(f"/page/{CONTROL}")
def offline_control(request: Request) -> Response:
    """Return the script that turns answers without the service on and off."""
    return _respond(request, offline_files()[CONTROL])


@router.get("/page/offline/{name:path}")
def offline_file(request: Request, name: str) -> Response:
    """Return one of the files that are kept on a device, to answer without the service."""
    path = f"offline/{name}"
    file = offline_files().get(path)
    if file is None:
        raise HTTPException(404)
    if file.encoding and file.encoding not in request.headers.get("accept-encoding", ""):
        raise HTTPException(406)
    return _respond(request, file, _WORKER_POLICY if path == WORKER else _POLICY)


@router.get("/page/{name:path}")
def page_file(request: Request, name: str) -> Response:
    """Return one of the files of the page."""
    return _file_response(request, name)


def _file_response(request: Request, name: str) -> Response:
    file = page_files().get(name)
    if file is None:
        raise HTTPException(404)
    return _respond(request, file)


def _respond(request: Request, file: PageFile, policy: str = _POLICY) -> Response:
    headers = {**_HEADERS, "Content-Security-Policy": policy, "ETag": file.etag}
    if file.encoding:
        headers |= {"Content-Encoding": file.encoding, "Vary": "Accept-Encoding"}
    else:
        # Weak, because the same content is sent in two encodings.
        headers |= {"ETag": f"W/{file.etag}", "Vary": "Accept-Encoding"}
    if file.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    content = file.content
    if file.compressed is not None and _accepts_gzip(request):
        content = file.compressed
        headers["Content-Encoding"] = "gzip"
    return Response(content, headers=headers, media_type=file.media_type)


def _accepts_gzip(request: Request) -> bool:
    """Check whether the client takes gzip; one that names it with the weight 0 does not."""
    for offer in request.headers.get("accept-encoding", "").lower().split(","):
        name, _, weight = offer.partition(";")
        if name.strip() == "gzip":
            return weight.strip() not in _NEVER
    return False
