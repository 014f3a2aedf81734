"""`lentigo-inference score` of a DICOM archive, as it is run: a stand-in over HTTP, and Orthanc."""

import base64
import os
import shutil
import signal
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import numpy as np
import pytest

from lentigo_gateway.archive.dicomweb import DicomWeb
from lentigo_gateway.config import ImagesConfig, ServerConfig
from lentigo_gateway.errors import InstanceError
from lentigo_gateway.http_server import HttpServer
from lentigo_gateway.inference.client import InferenceService
from lentigo_gateway.pixels.frames import frame_images
from lentigo_gateway.pixels.reading import found_in, read_dataset
from tests.e2e.scoring_runs import (
    ENGINE,
    PART,
    SHIPPED,
    as_answer,
    finished,
    of_service,
    rows_of,
    score_without,
)
from tests.e2e.service_process import COMMAND, DEADLINE_S, environment, service_process
from tests.gateway.dicom import (
    PATIENT_ID,
    PATIENT_NAME,
    STUDY,
    dermoscopic,
    file_of,
    multi_frame,
    uncompressed,
)
from tests.gateway.orthanc.archive import missing, orthanc
from tests.gateway.servers import FakeArchive
from tests.ports import free_port

PASSWORD = "geheim-0815"
QUERY = "Modality=DMS&StudyDate=20260101-20261231"


@dataclass
class Served(FakeArchive):
    """A stand-in with a user and a password, which holds after so many instances."""

    sends: int = 10**9
    released: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def handle(self, request: httpx.Request) -> httpx.Response:
        pair = base64.b64encode(f"lentigo:{PASSWORD}".encode()).decode()
        if request.headers.get("Authorization") != f"Basic {pair}":
            return httpx.Response(401)
        if "/series/" in request.url.path:
            self.sends -= 1
            if self.sends < 0:
                self.released.wait(DEADLINE_S)
        return super().handle(request)


def serve(archive: Served, context: ssl.SSLContext | None = None) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            request = httpx.Request("GET", f"http://x{self.path}", headers=dict(self.headers))
            response = archive.handle(request)
            self.send_response(response.status_code)
            self.send_header("Content-Type", response.headers.get("Content-Type", "text/plain"))
            self.send_header("Content-Length", str(len(response.content)))
            self.end_headers()
            self.wfile.write(response.content)

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:
                """The client was killed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    scheme = "http" if context is None else "https"
    archive.url = f"dicomweb+{scheme}://127.0.0.1:{server.server_address[1]}/base"
    return server


@pytest.fixture
def archive() -> Iterator[Served]:
    made = Served()
    server = serve(made)
    yield made
    made.released.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def sign_in(tmp_path: Path) -> dict[str, str]:
    file = tmp_path / "password"
    file.write_text(PASSWORD)
    return {"LENTIGO_ARCHIVE_USER": "lentigo", "LENTIGO_ARCHIVE_PASSWORD_FILE": str(file)}


def score(url: str, to: Path, query: str = QUERY, **settings: str) -> subprocess.Popen[str]:
    command = [*COMMAND, "score", f"{url}?{query}", "--to", str(to), "--workers", "1"]
    return subprocess.Popen(
        [*command, "--part-size", str(PART)],
        env=environment(SHIPPED, LENTIGO_ENGINE=ENGINE, **settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_a_driver_that_is_killed_goes_on_and_keeps_each_instance_once(
    tmp_path: Path, archive: Served, sign_in: dict[str, str]
) -> None:
    count = 3 * PART
    for number in range(count):
        archive.put(dermoscopic(number))
    # The first part is finished once its worker has taken the second; the third never comes.
    archive.sends = 2 * PART + 10
    to = tmp_path / "out"
    first = score(archive.url, to, **sign_in)
    while not (to / "rows/part-00000.parquet").exists():
        assert first.poll() is None, first.communicate()
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate(timeout=DEADLINE_S)
    kept = len(rows_of(to))
    assert kept in (PART, 2 * PART)

    archive.sends = 10**9
    archive.released.set()
    # What the archive has meanwhile is not what the run began with.
    archive.put(dermoscopic(99, study=f"{STUDY}.9"))
    archive.instances = dict(reversed(archive.instances.items()))
    code, out, err = finished(score(archive.url, to, **sign_in))
    assert code == 0, err
    assert f"{kept} from before" in err
    rows = rows_of(to)
    assert [row["item"] for row in rows] == list(range(count))
    assert {row["path"] for row in rows} == {f"{STUDY}.3.{number}" for number in range(count)}
    written = b"".join(path.read_bytes() for path in to.rglob("*") if path.is_file())
    for secret in (PASSWORD, PATIENT_NAME, PATIENT_ID):
        assert secret.encode() not in written + out.encode() + err.encode()


def test_a_password_that_is_refused_is_one_line_without_it(
    tmp_path: Path, archive: Served, sign_in: dict[str, str]
) -> None:
    (tmp_path / "password").write_text("wrong-4711")
    archive.put(dermoscopic(1))
    code, out, err = finished(score(archive.url, tmp_path / "out", **sign_in))
    assert code == 1
    assert "401" in err.splitlines()[-1]
    assert "LENTIGO_ARCHIVE_PASSWORD_FILE" in err.splitlines()[-1]
    assert "wrong-4711" not in out + err
    assert "Traceback" not in err


def test_an_archive_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    url = f"dicomweb+http://127.0.0.1:{free_port()}/dicom-web"
    code, _, err = finished(score(url, tmp_path / "out"))
    assert code == 1
    assert "The archive cannot be reached. What is finished is kept" in err.splitlines()[-1]


def test_a_query_that_names_a_patient_is_a_wrong_usage(tmp_path: Path) -> None:
    url = "dicomweb+https://archive.example/dicom-web"
    process = score(url, tmp_path / "out", query=f"PatientID={PATIENT_ID}")
    code, _, err = finished(process)
    assert code == 2
    assert "PatientID" in err
    assert PATIENT_ID not in err


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_a_certificate_that_nobody_vouches_for_is_refused_before_the_password_is_sent(
    tmp_path: Path, sign_in: dict[str, str]
) -> None:
    pair = (tmp_path / "tls.crt", tmp_path / "tls.key")
    made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=x"
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    files = [*names, "-out", str(pair[0]), "-keyout", str(pair[1])]
    subprocess.run(["openssl", *made.split(), *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    archive = Served()
    server = serve(archive, context)
    try:
        archive.put(dermoscopic(1))
        code, _, err = finished(score(archive.url, tmp_path / "out", **sign_in))
        assert code == 1
        assert "certificate that is not trusted" in err.splitlines()[-1]
        assert archive.asked == []
        trusted = {"LENTIGO_ARCHIVE_CA_FILE": str(pair[0])}
        code, _, err = finished(score(archive.url, tmp_path / "out", **sign_in, **trusted))
        assert code == 0, err
    finally:
        server.shutdown()
        server.server_close()


def test_without_the_gateway_it_says_what_to_install(tmp_path: Path) -> None:
    run = score_without("pydicom", f"dicomweb+https://archive.example?{QUERY}", tmp_path)
    assert run.returncode == 1
    assert "lentigo-inference[score,dicomweb]" in run.stderr


@pytest.mark.skipif(bool(missing()), reason=missing() or "installed")
def test_rows_are_the_answers_that_the_gateway_gets_for_what_orthanc_has(tmp_path: Path) -> None:
    many = f"{STUDY}.3.53"
    grey = np.asarray(np.random.default_rng(1).integers(0, 255, (64, 80)), np.uint8)
    images = [
        *(dermoscopic(number) for number in range(12)),
        uncompressed(np.full((64, 80, 3), 90, np.uint8), SOPInstanceUID=f"{STUDY}.3.50"),
        uncompressed(grey, "MONOCHROME2", SOPInstanceUID=f"{STUDY}.3.51"),
        multi_frame(3, SOPInstanceUID=f"{STUDY}.3.52"),
        multi_frame(20, SOPInstanceUID=many),
    ]
    left = [
        dermoscopic(1, SOPInstanceUID=f"{STUDY}.3.60", Modality="XC", SeriesInstanceUID="1.2.3"),
        dermoscopic(1, study=f"{STUDY}.8", Manufacturer="Lentigo"),
        dermoscopic(1, study=f"{STUDY}.9", StudyDate="20250101"),
    ]
    (tmp_path / "orthanc").mkdir()
    with orthanc(tmp_path / "orthanc") as server:
        for image in [*images, *left]:
            server.store(file_of(image))
        code, _, err = finished(score(f"dicomweb+{server.url}/dicom-web", tmp_path / "out"))
        assert code == 0, err
        http = HttpServer(ServerConfig(url=f"{server.url}/dicom-web"), "archive")
        limits = ImagesConfig()
        read = [
            read_dataset(DicomWeb(http).retrieve(found_in(each), limits.max_bytes), 2**30)
            for each in images
        ]
        http.close()
    rows = {row["path"]: row for row in rows_of(tmp_path / "out")}
    with service_process(SHIPPED, LENTIGO_ENGINE=ENGINE) as service:
        service.logged("model in use")
        connection = HttpServer(ServerConfig(url=service.url), "service")
        client = InferenceService(connection)
        for image in read:
            uid = str(image.SOPInstanceUID)
            if uid == many:
                with pytest.raises(InstanceError) as refused:
                    next(frame_images(image, limits))
                assert rows.pop(uid)["error_detail"] == str(refused.value)
                continue
            for answer in [client.predict(frame) for frame in frame_images(image, limits)]:
                path = uid if answer.frame is None else f"{uid}/frames/{answer.frame}"
                assert as_answer(rows.pop(path)) == of_service(answer.prediction), uid
        connection.close()
    assert rows == {}
