"""Stand-ins for the servers that the gateway asks, behind its real HTTP client.

They keep what was sent to them, and misbehave on demand: `faults` come before anything else.
"""

import base64
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import Message
from typing import Any, Final

import httpx
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.datadict import keyword_for_tag

from lentigo_contract.labels import DIAGNOSES, RESEARCH_NOTICE
from lentigo_gateway.config import ServerConfig
from lentigo_gateway.errors import Server
from lentigo_gateway.http_server import HttpServer
from tests.gateway.dicom import file_of

DIGEST: Final = "d" * 64

Fault = httpx.Response | Exception
Handler = Callable[[httpx.Request], httpx.Response]


@dataclass
class _Server:
    """What the stand-ins have in common."""

    faults: list[Fault] = field(default_factory=list)
    asked: list[httpx.Request] = field(default_factory=list)
    down: Fault | None = None

    def http(self, server: Server, clock: Callable[[], float] | None = None) -> HttpServer:
        config = ServerConfig(url=f"http://{server}.test/base")
        transport = httpx.MockTransport(self.handle)
        if clock is None:
            return HttpServer(config, server, transport=transport)
        return HttpServer(config, server, transport=transport, clock=clock)

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        fault = self.faults.pop(0) if self.faults else self.down
        if isinstance(fault, Exception):
            raise fault
        return fault if fault is not None else self.answer(request)

    def answer(self, request: httpx.Request) -> httpx.Response:
        raise NotImplementedError


@dataclass
class FakeService(_Server):
    """Answers as `POST /v1/predictions` does."""

    digest: str = DIGEST
    images: list[bytes] = field(default_factory=list)
    withheld: bool = False
    feedback: list[tuple[str, str, str]] = field(default_factory=list)
    on_feedback: Fault | None = None

    def answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/base/")
        if path == "v2/health/ready":
            return httpx.Response(200, json={"ready": True})
        if path == "v1/models":
            return httpx.Response(200, json={"models": [self.model()]})
        if path.endswith("/feedback"):
            return self._feedback(path.split("/")[2], json.loads(request.content))
        assert path == "v1/predictions"
        self.images.append(request.content)
        return httpx.Response(200, json=prediction(len(self.images), self.model(), self.withheld))

    def _feedback(self, answer_id: str, given: dict[str, str]) -> httpx.Response:
        if isinstance(self.on_feedback, Exception):
            raise self.on_feedback
        if self.on_feedback is not None:
            return self.on_feedback
        self.feedback.append((answer_id, given["diagnosis"], given["confirmed_by"]))
        return httpx.Response(200, json={"id": "1", "prediction": answer_id, **given})

    def model(self) -> dict[str, str]:
        return {
            "name": "lentigo",
            "version": "3",
            "architecture": "mobilenet",
            "engine": "litert",
            "digest": self.digest,
        }


def prediction(number: int, model: dict[str, str], withheld: bool = False) -> dict[str, Any]:
    """Give an answer as the service gives it."""
    shares = {each.code: 0.7 if each.code == "nv" else 0.05 for each in DIAGNOSES}
    ranked = sorted(DIAGNOSES, key=lambda each: -shares[each.code])
    map_file = io.BytesIO()
    Image.linear_gradient("L").resize((56, 56)).save(map_file, "PNG")
    found: dict[str, Any] = {
        "id": f"019b1f6e-4a57-7c3e-8d5c-{number:012x}",
        "model": model,
        "image": {"sha256": "a" * 64, "format": "JPEG", "width": 300, "height": 225},
        "quality": {
            "accepted": not withheld,
            "reasons": ["blurred"] if withheld else [],
            "unlikeness": None if withheld else 3.1,
            "unlikeness_limit": 7.5,
        },
        "diagnosis": None,
        "probabilities": [],
        "malignancy": {
            "probability": None,
            "threshold": 0.18,
            "refer": True,
            "reasons": ["unusable"],
        },
        "notice": RESEARCH_NOTICE,
    }
    if not withheld:
        found |= {
            "diagnosis": {
                "code": "nv",
                "name": "Melanocytic nevus",
                "probability": 0.7,
                "decided_by": "balanced",
                "confident": True,
            },
            "probabilities": [
                {
                    "code": each.code,
                    "name": each.name,
                    "probability": shares[each.code],
                    "malignant": each.malignant,
                }
                for each in ranked
            ],
            "malignancy": {"probability": 0.15, "threshold": 0.18, "refer": False, "reasons": []},
            "activation_map": {
                "code": "nv",
                "media_type": "image/png",
                "data": base64.b64encode(map_file.getvalue()).decode(),
            },
        }
    return found


@dataclass
class FakeArchive(_Server):
    """Speaks DICOMweb, and as much of Orthanc's own REST API as the gateway asks."""

    instances: dict[str, bytes] = field(default_factory=dict)
    stored: list[Dataset] = field(default_factory=list)
    feed: list[dict[str, Any]] = field(default_factory=list)
    on_store: Handler | None = None

    def put(self, image: Dataset, data: bytes | None = None) -> str:
        """Have an instance; give Orthanc's id of it."""
        uid = str(image.SOPInstanceUID)
        self.instances[uid] = file_of(image) if data is None else data
        self.feed.append(
            {"Seq": len(self.feed) + 1, "ChangeType": "NewInstance", "ID": orthanc_id(uid)}
        )
        return orthanc_id(uid)

    def answer(self, request: httpx.Request) -> httpx.Response:  # noqa: PLR0911 - a router
        path = request.url.path.removeprefix("/base/")
        parts = path.split("/")
        if request.method == "POST" and path == "studies":
            return (self.on_store or self.store)(request)
        if path == "changes":
            return self._changes(request)
        if parts[0] == "instances" and len(parts) in (3, 4):
            return self._of_orthanc(parts[1], parts[2])
        if path == "instances":
            return self._query(request)
        if path == "studies":
            return httpx.Response(200, json=[])
        found = self.instances.get(parts[5])
        if found is None:
            return httpx.Response(404)
        body = b"--x y\r\nContent-Type: application/dicom\r\n\r\n" + found + b"\r\n--x y--"
        kind = 'multipart/related; type="application/dicom"; boundary="x y"'
        return httpx.Response(200, content=body, headers={"Content-Type": kind})

    def store(self, request: httpx.Request) -> httpx.Response:
        header = Message()
        header["Content-Type"] = request.headers["Content-Type"]
        boundary = str(header.get_param("boundary"))
        references: list[dict[str, Any]] = []
        for part in request.content.split(b"--" + boundary.encode())[1:-1]:
            content = part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")
            result = dcmread(io.BytesIO(content))
            known = {str(each.SOPInstanceUID) for each in self.stored}
            if str(result.SOPInstanceUID) not in known:
                self.stored.append(result)
            references.append({"00081155": {"vr": "UI", "Value": [str(result.SOPInstanceUID)]}})
        return httpx.Response(200, json={"00081199": {"vr": "SQ", "Value": references}})

    def _changes(self, request: httpx.Request) -> httpx.Response:
        if "last" in request.url.params:
            return httpx.Response(200, json={"Changes": [], "Last": len(self.feed), "Done": True})
        since, limit = (int(request.url.params[name]) for name in ("since", "limit"))
        part = self.feed[since : since + limit]
        last = part[-1]["Seq"] if part else len(self.feed)
        return httpx.Response(
            200, json={"Changes": part, "Last": last, "Done": since + limit >= len(self.feed)}
        )

    def _of_orthanc(self, identifier: str, what: str) -> httpx.Response:
        data = {orthanc_id(uid): each for uid, each in self.instances.items()}.get(identifier)
        if data is None:
            return httpx.Response(404)
        if what == "file":
            return httpx.Response(200, content=data)
        image = dcmread(io.BytesIO(data), force=True)
        if what == "metadata":
            return httpx.Response(200, text=str(image.SOPClassUID))
        values = {each.keyword: str(each.value) for each in image if each.keyword != "PixelData"}
        return httpx.Response(200, json=values)

    def _query(self, request: httpx.Request) -> httpx.Response:
        wanted, offset = request.url.params["SOPClassUID"], int(request.url.params["offset"])
        images = [dcmread(io.BytesIO(each), force=True) for each in self.instances.values()]
        found = [each for each in images if str(each.SOPClassUID) == wanted]
        part = found[offset : offset + int(request.url.params["limit"])]
        if not part:
            return httpx.Response(204)
        fields = request.url.params.get_list("includefield")
        return httpx.Response(200, json=[_query_result(each, fields) for each in part])


def _query_result(image: Dataset, fields: list[str]) -> dict[str, Any]:
    """Give what every response has (PS3.18, table 10.6.3-5), and what was asked for."""
    asked = [keyword_for_tag(tag) for tag in fields]
    wanted = Dataset()
    for keyword in (
        "SOPClassUID",
        "SOPInstanceUID",
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "Modality",
        *asked,
    ):
        if keyword in image:
            setattr(wanted, keyword, image[keyword].value)
    found: dict[str, Any] = json.loads(wanted.to_json())
    return found


def orthanc_id(uid: str) -> str:
    """Give an id as Orthanc has them."""
    digits = uid.encode().hex()[-40:].rjust(40, "0")
    return "-".join(digits[start : start + 8] for start in range(0, 40, 8))
