"""The service as it is run: a process of its own, its log read and its signals sent."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

# TensorFlow takes many seconds to import on a busy machine.
DEADLINE_S: Final = 240.0

COMMAND: Final = (sys.executable, "-m", "lentigo_inference")


def environment(models: Path, **settings: str) -> dict[str, str]:
    """Give the variables of a service on a free port, free of settings from outside."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("LENTIGO_")},
        "LENTIGO_MODEL_REPOSITORY": str(models),
        "LENTIGO_PORT": "0",
        "LENTIGO_LOG_FORMAT": "json",
        "LENTIGO_RELOAD_INTERVAL_S": "0.1",
        "LENTIGO_REQUEST_TIMEOUT_S": "300",
        "LENTIGO_DRAIN_S": "0",
        **settings,
    }


class ServiceProcess:
    """A running service, in a process group of its own."""

    def __init__(
        self,
        settings: Mapping[str, str],
        command: Sequence[str] = COMMAND,
        folder: Path | None = None,
    ) -> None:
        self.process = subprocess.Popen(
            command,
            env=settings,
            cwd=folder,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.lines: list[str] = []
        self._ended = False
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.url: str = self.logged("listening")["url"]
        self.client = httpx.Client(base_url=self.url, timeout=DEADLINE_S)

    @property
    def address(self) -> tuple[str, int]:
        url = httpx.URL(self.url)
        return url.host, url.port or 80

    def logged(self, event: str, **fields: object) -> dict[str, Any]:
        """Wait for a line of the log, and give it."""

        def found() -> dict[str, Any] | None:
            for line in self.lines:
                entry = _parsed(line)
                wanted = {"event": event, **fields}
                if all(entry.get(name) == value for name, value in wanted.items()):
                    return entry
            return None

        with self._more:
            self._more.wait_for(lambda: found() or self._ended, DEADLINE_S)
            entry = found()
        assert entry is not None, f"no line {event!r} in:\n" + "\n".join(self.lines)
        return entry

    def stop(self) -> int:
        """Send SIGTERM, and give the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.join()

    def join(self) -> int:
        """Wait for the process and the end of its log, and give the exit code."""
        code = self.process.wait(DEADLINE_S)
        self._reader.join(DEADLINE_S)
        return code

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as log:
            for line in log:
                with self._more:
                    self.lines.append(line.rstrip())
                    self._more.notify_all()
        with self._more:
            self._ended = True
            self._more.notify_all()


@contextmanager
def service_process(models: Path, **settings: str) -> Iterator[ServiceProcess]:
    service = ServiceProcess(environment(models, **settings))
    try:
        with service.client:
            yield service
    finally:
        service.process.kill()
        service.join()


def _parsed(line: str) -> dict[str, Any]:
    try:
        entry: dict[str, Any] = json.loads(line)
    except ValueError:
        # TensorFlow's C++ side writes lines of its own.
        return {}
    return entry
