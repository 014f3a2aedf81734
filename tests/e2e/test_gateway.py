"""The gateway as it is run, between a real Orthanc and the real service with the shipped model."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.service_process import service_process
from tests.gateway.dicom import PATIENT_ID, PATIENT_NAME, STUDY, dermoscopic, file_of
from tests.gateway.orthanc.archive import OrthancProcess, missing, orthanc, until

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "installed")

SHIPPED = Path(__file__).parents[2] / "models"
SR = "1.2.840.10008.5.1.4.1.1.88.34"


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[OrthancProcess]:
    (tmp_path / "orthanc").mkdir()
    with orthanc(tmp_path / "orthanc") as started:
        yield started


def configured(folder: Path, service: str, archive: OrthancProcess) -> Path:
    path = folder / "gateway.toml"
    path.write_text(
        f"""
        [service]
        url = "{service}"
        [archive]
        url = "{archive.url}/dicom-web"
        [sources.orthanc]
        url = "{archive.url}"
        start = "beginning"
        [worklist]
        folder = "{folder}/worklist"
        [log]
        format = "json"
        """
    )
    return path


@contextmanager
def gateway(config: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (config.parent / "gateway.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "lentigo_gateway", "run", "--config", str(config)], stderr=log
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_an_image_is_answered_by_the_real_service_and_nobody_is_named_in_a_log(
    tmp_path: Path, archive: OrthancProcess
) -> None:
    archive.store(file_of(dermoscopic(1)))
    with service_process(SHIPPED) as service:
        config = configured(tmp_path, service.url, archive)
        with gateway(config) as process:
            until(lambda: archive.instances(SR), "the report is stored", 200)
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        (report,) = archive.instances(SR)
        assert report["StudyInstanceUID"] == STUDY
        log = (tmp_path / "gateway.log").read_text() + "\n".join(service.lines)
    for secret in (PATIENT_NAME, PATIENT_ID, STUDY):
        assert secret not in log


def test_a_gateway_that_is_killed_goes_on_where_it_was(
    tmp_path: Path, archive: OrthancProcess
) -> None:
    for number in range(6):
        archive.store(file_of(dermoscopic(number)))
    with service_process(SHIPPED) as service:
        config = configured(tmp_path, service.url, archive)
        for done in (1, 3):
            with gateway(config):
                until(lambda done=done: len(archive.instances(SR)) >= done, "some are stored", 200)
        with gateway(config):
            until(lambda: len(archive.instances(SR)) == 6, "all reports are stored", 200)
    numbers = [each["SOPInstanceUID"] for each in archive.instances(SR)]
    assert len(numbers) == len(set(numbers)) == 6
