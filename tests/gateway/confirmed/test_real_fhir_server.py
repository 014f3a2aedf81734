"""Answers and confirmed diagnoses on a real FHIR server, which validates every resource.

It is the server of `make hospital`. `npm ci --prefix deploy/hospital/fhir` installs what it needs.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from lentigo_contract.fhir.codes import DIAGNOSES_SYSTEM
from tests.gateway.bench import Bench
from tests.gateway.confirmed.documents import observation, structured_report
from tests.gateway.dicom import dermoscopic
from tests.gateway.orthanc.archive import until
from tests.ports import free_port

FOLDER: Final = Path(__file__).parents[3] / "deploy/hospital/fhir"
NODE: Final = shutil.which("node")
GUIDE: Final = FOLDER.parents[2] / "docs/fhir"

Resource = dict[str, Any]


def missing() -> str:
    """Why the server cannot run here; empty if it can."""
    if NODE is None:
        return "Node.js is not installed"
    version = subprocess.run(
        [NODE, "--version"], capture_output=True, text=True, check=False
    ).stdout
    if not version.startswith("v") or int(version[1:].partition(".")[0]) < 20:
        return f"Node.js {version.strip()} is older than 20"
    if not (FOLDER / "node_modules/@medplum/fhir-router").is_dir():
        return "npm ci --prefix deploy/hospital/fhir installs the FHIR server"
    return ""


pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "installed")


@pytest.fixture(scope="module")
def server() -> Iterator[httpx.Client]:
    assert NODE is not None
    port = free_port()
    settings = {**os.environ, "FHIR_PORT": str(port), "FHIR_HOST": "127.0.0.1"}
    process = subprocess.Popen([NODE, str(FOLDER / "server.mjs")], env=settings)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:

        def answers() -> bool:
            assert process.poll() is None
            try:
                return client.get("/metadata").status_code == 200
            except httpx.TransportError:
                return False

        until(answers, "the FHIR server answers")
        yield client
    process.terminate()
    process.wait()


@pytest.fixture
def bench(tmp_path: Path, server: httpx.Client) -> Iterator[Bench]:
    made = Bench(tmp_path, fhir=True, fhir_url=str(server.base_url))
    yield made
    made.worklist.close()
    made.fhir_http.close()


def answered(bench: Bench, number: int) -> str:
    image = dermoscopic(number)
    bench.archive.put(image)
    bench.work()
    assert bench.states() == {"done": 1}
    return str(image.SOPInstanceUID)


def found(server: httpx.Client, kind: str, uid: str, name: str) -> Resource:
    identifier = f"urn:lentigo:answer|{uid}/{'d' * 64}/{name}"
    entries = server.get(f"/{kind}", params={"identifier": identifier}).json()["entry"]
    (only,) = [each["resource"] for each in entries]
    return dict(only)


def concluded(report: Resource) -> set[str]:
    codings = [coding for each in report["conclusionCode"] for coding in each["coding"]]
    return {each["code"] for each in codings if each["system"] == DIAGNOSES_SYSTEM}


def test_an_answer_is_valid_and_there_once(bench: Bench, server: httpx.Client) -> None:
    uid = answered(bench, 31)
    report = found(server, "DiagnosticReport", uid, "report")
    assert report["status"] == "preliminary"
    bench.worklist.retry(bench.entry.id)
    bench.work()
    assert found(server, "DiagnosticReport", uid, "report") == report


def test_a_verified_structured_report_makes_the_report_final(
    bench: Bench, server: httpx.Client
) -> None:
    uid = answered(bench, 32)
    bench.archive.put(structured_report(uid, number=32))
    for _ in range(2):
        bench.confirm()
    report = found(server, "DiagnosticReport", uid, "report")
    assert (report["status"], concluded(report)) == ("final", {"mel"})
    confirmed = server.get(f"/{report['result'][-1]['reference']}").json()
    assert confirmed["status"] == "final"
    assert confirmed["method"]["text"] == "histopathology"
    assert [each.state for each in bench.worklist.confirmations.latest(10)] == ["done"]


def test_observations_make_the_report_final_and_then_amended(
    bench: Bench, server: httpx.Client
) -> None:
    uid = answered(bench, 33)
    about = found(server, "Observation", uid, "lesion-classification")
    statuses = []
    for code in ("bcc", "df"):
        posted = server.post("/Observation", json=observation(about, code))
        assert posted.status_code == 201, posted.text
        bench.confirm()
        statuses.append(found(server, "DiagnosticReport", uid, "report")["status"])
    assert statuses == ["final", "amended"]
    told = [diagnosis for _answer, diagnosis, _way in bench.service.feedback]
    assert told == ["bcc", "df"]


@pytest.mark.parametrize("path", sorted(GUIDE.glob("Bundle-*.json")), ids=lambda path: path.name)
def test_an_example_of_the_guide_is_taken(server: httpx.Client, path: Path) -> None:
    taken = server.post("/", json=json.loads(path.read_text()))
    assert taken.status_code == 200
    assert {each["response"]["status"][:1] for each in taken.json()["entry"]} == {"2"}


def test_the_server_refuses_what_is_not_valid(server: httpx.Client) -> None:
    assert server.post("/Observation", json={"resourceType": "Observation"}).status_code == 400
    assert server.post("/Observation", content=b"{").status_code == 400
