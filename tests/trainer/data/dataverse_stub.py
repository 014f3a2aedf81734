"""A Dataverse on 127.0.0.1 whose faults a test can set."""

import hashlib
import json
import re
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from lentigo_trainer.data.download import HAM10000

Trick = Callable[["Request"], None]


@dataclass
class StoredFile:
    """One file of the made-up dataset; `listed` overrides members of its entry."""

    name: str
    content: bytes
    listed: dict[str, Any] = field(default_factory=dict)
    etag: str = ""

    def entry(self, number: int) -> dict[str, Any]:
        sum_ = hashlib.md5(self.content, usedforsecurity=False).hexdigest()
        data = {
            "id": number,
            "filename": self.name,
            "filesize": len(self.content),
            "md5": sum_,
            "checksum": {"type": "MD5", "value": sum_},
        }
        return {"label": self.name, "dataFile": data | self.listed}


class Dataverse:
    """What the server holds, what it was asked, and what it does wrong next."""

    def __init__(self, files: list[StoredFile]) -> None:
        self.files = files
        self.asked: list[tuple[str, str]] = []
        self.tricks: dict[str, deque[Trick]] = {}
        self.url = ""

    def misbehave(self, path: str, *tricks: Trick) -> None:
        """Use up one trick for each request to a path that contains `path`."""
        self.tricks.setdefault(path, deque()).extend(tricks)

    def ranges(self) -> list[str]:
        """Ranges asked of the storage, "" where all of a file was asked for."""
        return [wanted for path, wanted in self.asked if path.startswith("/storage/")]


class Request(BaseHTTPRequestHandler):
    """Answers like Dataverse: listing, redirect to the storage, ranges."""

    dataverse: Dataverse

    def do_GET(self) -> None:
        self.dataverse.asked.append((self.path, self.headers.get("Range", "")))
        for path, tricks in self.dataverse.tricks.items():
            if path in self.path and tricks:
                tricks.popleft()(self)
                return
        if self.path.startswith("/api/datasets/"):
            self.list_files()
        elif self.path.startswith("/api/access/datafile/"):
            storage = self.path.replace("/api/access/datafile", "/storage")
            self.answer(303, headers={"Location": storage})
        else:
            self.send_file()

    def list_files(self) -> None:
        if HAM10000 not in self.path.replace("%3A", ":").replace("%2F", "/"):
            self.answer(404, b"{}")
            return
        entries = [file.entry(number) for number, file in enumerate(self.dataverse.files)]
        listing = {"status": "OK", "data": {"latestVersion": {"files": entries}}}
        self.answer(200, json.dumps(listing).encode())

    @property
    def stored(self) -> StoredFile:
        found = re.search(r"/(\d+)(\?|$)", self.path)
        assert found is not None
        return self.dataverse.files[int(found[1])]

    def send_file(self, ranges: bool = True, end: int | None = None) -> None:
        """Send a file; with `end`, break off at that byte of it."""
        stored = self.stored
        headers = {"ETag": stored.etag} if stored.etag else {}
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        condition = self.headers.get("If-Range", stored.etag)
        if not wanted or not ranges or condition != stored.etag:
            self.answer(200, stored.content, headers, end)
            return
        start = int(wanted[1])
        size = len(stored.content)
        if start >= size:
            self.answer(416, headers={"Content-Range": f"bytes */{size}"})
            return
        headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
        self.answer(206, stored.content[start:], headers, end and end - start)

    def answer(
        self,
        status: int,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        end: int | None = None,
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:end])
        if end is not None:
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing; a test's output is for its failures."""


def breaks_off(at: int) -> Trick:
    return lambda request: request.send_file(end=at)


def ignores_range(request: Request) -> None:
    request.send_file(ranges=False)


def status(code: int, **headers: str) -> Trick:
    return lambda request: request.answer(code, headers=headers)


@contextmanager
def dataverse(files: list[StoredFile]) -> Iterator[Dataverse]:
    """Run the server in a thread."""
    state = Dataverse(files)
    handler = type("BoundRequest", (Request,), {"dataverse": state})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        state.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()
