"""A real Orthanc of this machine, with an empty archive of its own."""

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from tests.ports import free_port

PROGRAM: Final = shutil.which("Orthanc")
DEADLINE_S: Final = 120.0

_PLUGINS: Final = (
    Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so"),
    Path("/usr/lib/orthanc/libOrthancDicomWeb.so"),
)


def missing() -> str:
    """Why there can be no Orthanc here; empty if there can."""
    if PROGRAM is None:
        return "Orthanc is not installed"
    if not any(path.exists() for path in _PLUGINS):
        return "Orthanc's DICOMweb plugin is not installed"
    return ""


class OrthancProcess:
    """A running Orthanc; it can be killed and started again with what it has."""

    def __init__(self, folder: Path) -> None:
        self.http_port, self.dicom_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.http_port}"
        self._folder = folder
        self._configuration = folder / "orthanc.json"
        plugin = next(path for path in _PLUGINS if path.exists())
        self._configuration.write_text(
            json.dumps(
                {
                    "Name": "TEST",
                    "StorageDirectory": str(folder / "storage"),
                    "IndexDirectory": str(folder / "storage"),
                    "HttpServerEnabled": True,
                    "HttpPort": self.http_port,
                    "RemoteAccessAllowed": False,
                    "AuthenticationEnabled": False,
                    "DicomServerEnabled": True,
                    "DicomAet": "ORTHANC",
                    "DicomPort": self.dicom_port,
                    "DicomAlwaysAllowStore": True,
                    "DicomCheckCalledAet": False,
                    "UnknownSopClassAccepted": True,
                    "Plugins": [str(plugin)],
                    "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
                    "LimitFindResults": 0,
                    "ConcurrentJobs": 1,
                }
            )
        )
        self.client = httpx.Client(base_url=self.url, timeout=DEADLINE_S)
        self.start()

    def start(self) -> None:
        assert PROGRAM is not None
        with (self._folder / "orthanc.log").open("ab") as log:
            self.process = subprocess.Popen(
                [PROGRAM, str(self._configuration)], stdout=log, stderr=log, start_new_session=True
            )
        until(self._answers, "Orthanc answers")

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def close(self) -> None:
        self.client.close()
        self.kill()

    def store(self, data: bytes) -> str:
        """Put a DICOM file into the archive; give Orthanc's id of the instance."""
        response = self.client.post("/instances", content=data)
        response.raise_for_status()
        found: str = response.json()["ID"]
        return found

    def instances(self, sop_class: str) -> list[dict[str, Any]]:
        """The attributes of every instance of a class."""
        found = self.client.get("/instances", params={"expand": ""}).json()
        tags = [
            self.client.get(f"/instances/{each['ID']}/simplified-tags").json() for each in found
        ]
        return [
            {**each, "ID": one["ID"]}
            for one, each in zip(found, tags, strict=True)
            if each.get("SOPClassUID") == sop_class
        ]

    def file(self, orthanc_id: str) -> bytes:
        return self.client.get(f"/instances/{orthanc_id}/file").content

    def _answers(self) -> bool:
        assert self.process.poll() is None, (self._folder / "orthanc.log").read_text()[-2_000:]
        try:
            return self.client.get("/system").status_code == 200
        except httpx.TransportError:
            return False


@contextmanager
def orthanc(folder: Path) -> Iterator[OrthancProcess]:
    process = OrthancProcess(folder)
    try:
        yield process
    finally:
        process.close()


def until(condition: Any, what: str, deadline_s: float = DEADLINE_S) -> None:
    """Wait for a condition, looked at twenty times a second."""
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, f"not within {deadline_s:g} s: {what}"
        time.sleep(0.05)
