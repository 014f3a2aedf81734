"""A collector of traces in a thread: takes OTLP over HTTP and keeps what comes."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

DEADLINE_S: Final = 60.0


@dataclass
class Collector:
    """Where to send to, and what came."""

    url: str = ""
    bodies: list[bytes] = field(default_factory=list)
    requests: list[ExportTraceServiceRequest] = field(default_factory=list)
    more: threading.Condition = field(default_factory=threading.Condition)

    def spans(self) -> list[Span]:
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans() if span.name == name]

    def resource(self) -> dict[str, str]:
        """The attributes of the service, as it came first."""
        (first, *_) = self.requests[0].resource_spans
        return {each.key: each.value.string_value for each in first.resource.attributes}

    def until(self, name: str) -> Span:
        """Wait for a span of that name, and give the first."""
        with self.more:
            assert self.more.wait_for(lambda: self.named(name), DEADLINE_S), self.spans()
            return self.named(name)[0]


def attributes(span: Span) -> dict[str, str | int]:
    return {
        each.key: each.value.string_value
        if each.value.HasField("string_value")
        else each.value.int_value
        for each in span.attributes
    }


@contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            with collector.more:
                collector.bodies.append(body)
                if self.path == "/v1/traces":
                    request = ExportTraceServiceRequest.FromString(body)
                    collector.requests.append(request)
                collector.more.notify_all()
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    collector.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join(DEADLINE_S)
