"""The whole loop with a real Orthanc: an image arrives, and its results lie beside it.

The inference service is a stand-in that answers over real HTTP; `tests/e2e` and
`benchmarks/gateway.py` have the real one.
"""

import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from lentigo_gateway.config import GatewayConfig
from lentigo_gateway.gateway import Gateway, check_places, connected, connected_places
from lentigo_gateway.observability.logging import get_log
from lentigo_gateway.rules import Rule
from tests.gateway.dicom import STUDY, dermoscopic, file_of, multi_frame
from tests.gateway.orthanc.archive import OrthancProcess, missing, orthanc, until
from tests.gateway.servers import FakeService

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "installed")

SR = "1.2.840.10008.5.1.4.1.1.88.34"
CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OrthancProcess]:
    with orthanc(tmp_path_factory.mktemp("orthanc")) as started:
        yield started


@pytest.fixture
def empty(archive: OrthancProcess) -> OrthancProcess:
    for study in archive.client.get("/studies").json():
        archive.client.delete(f"/studies/{study}")
    return archive


@pytest.fixture
def service() -> Iterator[tuple[FakeService, str]]:
    fake = FakeService()

    class Handler(BaseHTTPRequestHandler):
        def _respond(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            path = "/base" + self.path.partition("?")[0]
            request = httpx.Request(
                self.command, f"http://x{path}", content=self.rfile.read(length)
            )
            response = fake.answer(request)
            self.send_response(response.status_code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(response.content)))
            self.end_headers()
            self.wfile.write(response.content)

        do_GET = do_POST = _respond  # noqa: N815 - the names that the server looks for

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield fake, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def configured(
    folder: Path, archive: OrthancProcess, service: str, sources: dict[str, object]
) -> GatewayConfig:
    return GatewayConfig.model_validate(
        {
            "service": {"url": service},
            "archive": {"url": f"{archive.url}/dicom-web"},
            "sources": sources,
            "worklist": {"folder": folder / "worklist", "workers": 2},
        }
    )


def feed(archive: OrthancProcess) -> dict[str, object]:
    return {"orthanc": {"url": archive.url, "interval_s": 0.05, "start": "now"}}


@contextmanager
def running(config: GatewayConfig) -> Iterator[Gateway]:
    with connected(config, get_log()) as gateway:
        thread = threading.Thread(target=gateway.run, daemon=True)
        thread.start()
        try:
            yield gateway
        finally:
            gateway.stop()
            thread.join()


def started(config: GatewayConfig) -> None:
    """Let a gateway note where the feed of the archive is, as its first look does."""
    with connected(config, get_log()) as gateway:
        for source in gateway._sources:
            source.look()


def test_an_image_that_arrives_has_its_results_in_the_same_study(
    tmp_path: Path, empty: OrthancProcess, service: tuple[FakeService, str]
) -> None:
    fake, url = service
    config = configured(tmp_path, empty, url, feed(empty))
    started(config)
    with running(config):
        empty.store(file_of(dermoscopic(1)))
        until(lambda: empty.instances(SR) and empty.instances(CAPTURE), "the results are stored")
    (report,), (capture,) = empty.instances(SR), empty.instances(CAPTURE)
    assert report["StudyInstanceUID"] == capture["StudyInstanceUID"] == STUDY
    assert len(fake.images) == 1
    assert len(empty.client.get("/studies").json()) == 1


def test_what_came_while_the_gateway_was_down_is_answered(
    tmp_path: Path, empty: OrthancProcess, service: tuple[FakeService, str]
) -> None:
    _fake, url = service
    config = configured(tmp_path, empty, url, feed(empty))
    started(config)
    empty.store(file_of(dermoscopic(1)))
    empty.store(file_of(dermoscopic(2)))
    with running(config):
        until(lambda: len(empty.instances(SR)) == 2, "both are answered")


def test_queries_find_what_the_feed_would_tell(
    tmp_path: Path, empty: OrthancProcess, service: tuple[FakeService, str]
) -> None:
    fake, url = service
    config = configured(tmp_path, empty, url, {"query": {"interval_s": 0.5, "days": 366}})
    rule = Rule(sop_class=("dermoscopic",), station=("DERM1",), description=("skin*",))
    config = config.model_copy(update={"rules": (rule,)})
    empty.store(file_of(dermoscopic(1, StudyDate="")))
    empty.store(file_of(dermoscopic(1, study=f"{STUDY}.9")))
    empty.store(file_of(dermoscopic(1, study=f"{STUDY}.10", StationName="DERM9")))
    with running(config):
        until(lambda: empty.instances(SR), "the dated one of this station is answered")
    assert len(fake.images) == 1


def test_each_frame_is_answered(
    tmp_path: Path, empty: OrthancProcess, service: tuple[FakeService, str]
) -> None:
    fake, url = service
    config = configured(tmp_path, empty, url, feed(empty))
    started(config)
    empty.store(file_of(multi_frame(3)))
    with running(config):
        until(lambda: len(empty.instances(CAPTURE)) == 3, "three pictures are stored")
    assert len(fake.images) == 3
    assert len(empty.instances(SR)) == 1


def test_storing_a_result_twice_leaves_one(
    tmp_path: Path, empty: OrthancProcess, service: tuple[FakeService, str]
) -> None:
    _fake, url = service
    config = configured(tmp_path, empty, url, feed(empty))
    started(config)
    empty.store(file_of(dermoscopic(1)))
    with running(config):
        until(lambda: empty.instances(SR), "it is answered")
        until(lambda: empty.instances(CAPTURE), "it is answered")
    with connected(config, get_log()) as gateway:
        gateway._worklist.retry(1)
        assert gateway._worker.step()
        assert gateway._worklist.counts() == {"done": 1}
    assert len(empty.instances(SR)) == len(empty.instances(CAPTURE)) == 1


def test_an_archive_that_is_killed_costs_nothing(
    tmp_path: Path, empty: OrthancProcess, service: tuple[FakeService, str]
) -> None:
    _fake, url = service
    config = configured(tmp_path, empty, url, feed(empty))
    started(config)
    for number in range(10):
        empty.store(file_of(dermoscopic(number)))
    with running(config):
        until(lambda: empty.instances(SR), "the first are answered")
        empty.kill()
        empty.start()
        until(lambda: len(empty.instances(SR)) == 10, "all are answered")
        until(lambda: len(empty.instances(CAPTURE)) == 10, "all are answered")


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools is not installed")
def test_no_error_is_found_in_the_results(
    tmp_path: Path, empty: OrthancProcess, service: tuple[FakeService, str]
) -> None:
    _fake, url = service
    config = configured(tmp_path, empty, url, feed(empty))
    started(config)
    empty.store(file_of(dermoscopic(1)))
    with running(config):
        until(lambda: empty.instances(SR) and empty.instances(CAPTURE), "the results are stored")
    for result in (*empty.instances(SR), *empty.instances(CAPTURE)):
        path = tmp_path / "result.dcm"
        path.write_bytes(empty.file(result["ID"]))
        told = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
        assert [line for line in told.stderr.splitlines() if line.startswith("Error")] == []


def test_check_finds_a_well_configured_gateway_well(
    tmp_path: Path, empty: OrthancProcess, service: tuple[FakeService, str]
) -> None:
    config = configured(tmp_path, empty, service[1], feed(empty))
    (tmp_path / "worklist").mkdir()
    with connected_places(config) as places:
        assert check_places(places) == {}
