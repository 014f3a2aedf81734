"""An OpenID Connect issuer on this machine: real HTTP, answers that a test chooses."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from tests.inference.network import DEADLINE_S
from tests.inference.security.oidc.made_tokens import PrivateKey, claims, rsa_key, signed

CONFIGURATION: Final = "/.well-known/openid-configuration"
KEYS: Final = "/keys"


@dataclass
class Answer:
    """What the issuer answers at a path: the body, so many times over."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    times: int = 1

    @classmethod
    def of(cls, document: object, **headers: str) -> "Answer":
        return cls(json.dumps(document).encode(), 200, headers)


class MadeIssuer:
    """Serves what is in `answers`; `go_on` holds back every answer while it is not set."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.asked: list[str] = []
        self.go_on = threading.Event()
        self.go_on.set()
        # Set when somebody took no more of an answer.
        self.cut_off = threading.Event()
        self.answers: dict[str, Answer] = {}
        self.configure()

    def configure(self, **changes: object) -> None:
        """Publish the configuration, with some members changed."""
        document = {"issuer": self.address, "jwks_uri": self.address + KEYS, **changes}
        self.answers[CONFIGURATION] = Answer.of(document)

    def publish(self, *entries: Mapping[str, Any]) -> None:
        """Publish a key set."""
        self.answers[KEYS] = Answer.of({"keys": [dict(each) for each in entries]})

    def token(
        self, key: PrivateKey | None = None, algorithm: str = "RS256", **changes: object
    ) -> str:
        """A token of this issuer, by default a good one."""
        return signed(claims(iss=self.address, **changes), key or rsa_key(), algorithm)


@contextmanager
def made_issuer() -> Iterator[MadeIssuer]:
    """Run an issuer on a free port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            issuer.asked.append(self.path)
            assert issuer.go_on.wait(DEADLINE_S)
            answer = issuer.answers.get(self.path, Answer(b"", 404))
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body) * answer.times))
            self.end_headers()
            try:
                for _ in range(answer.times):
                    self.wfile.write(answer.body)
            except OSError:
                # Who asked has had enough of it.
                self.close_connection = True
                issuer.cut_off.set()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    issuer = MadeIssuer(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        issuer.go_on.set()
        server.shutdown()
        server.server_close()
        thread.join(DEADLINE_S)
