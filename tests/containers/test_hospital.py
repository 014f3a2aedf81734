"""`make hospital`: an archive, and the gateway that answers what arrives in it."""

import re
import sys
from collections.abc import Iterator

import httpx
import pytest
from docker import DockerClient

from tests.containers.compose import ROOT, Project, Run, project
from tests.gateway.orthanc.archive import until
from tests.ports import free_port


@pytest.fixture(scope="module")
def hospital(engine: DockerClient) -> Iterator[tuple[Project, Run]]:
    ports = {
        "LENTIGO_ORTHANC_PORT": str(free_port()),
        "LENTIGO_ORTHANC_DICOM_PORT": str(free_port()),
        "LENTIGO_FHIR_PORT": str(free_port()),
        "LENTIGO_GATEWAY_PORT": str(free_port()),
    }
    with project(engine, **ports) as made:
        yield made, made.run(ROOT / "deploy/hospital/up.sh", PYTHON=sys.executable)


def test_three_images_have_reports_and_pictures(hospital: tuple[Project, Run]) -> None:
    _project, run = hospital
    assert run.returncode == 0, run.stderr[-2000:]
    assert "Research use only. Not a medical device." in run.stdout
    reports = re.findall(r"A report: (\S+)", run.stdout)
    pictures = re.findall(r"A picture: (\S+)", run.stdout)
    assert (len(reports), len(pictures)) == (3, 3)
    assert httpx.get(reports[0]).json()["Modality"] == "SR"
    assert httpx.get(pictures[0], timeout=60).headers["Content-Type"].startswith("image/")


def test_the_gateway_can_change_nothing_but_its_work_list(hospital: tuple[Project, Run]) -> None:
    made, _run = hospital
    told = made.container("gateway").attrs["HostConfig"]
    assert told["ReadonlyRootfs"] is True
    assert told["CapDrop"] == ["ALL"]

    def status() -> str:
        command = ("exec", "-T", "gateway", "lentigo-gateway", "status")
        return made.compose("--profile", "hospital", *command).stdout

    until(lambda: status() == "done\t3\n", "the work list is done")


def test_the_page_shows_the_work_list(hospital: tuple[Project, Run]) -> None:
    made, run = hospital
    address = f"http://127.0.0.1:{made.settings['LENTIGO_GATEWAY_PORT']}/"
    assert f"The work list: {address}" in run.stdout
    page = httpx.get(address).text
    assert "Research use only. Not a medical device." in page
    assert page.count('<tr class="done">') == 3
