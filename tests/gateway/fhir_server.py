"""A stand-in for a FHIR server: conditional creates, versions, and the searches of the gateway."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import httpx

from tests.gateway.servers import _Server

Resource = dict[str, Any]

PAGE: Final = 500


@dataclass
class FakeFhir(_Server):
    """Takes transactions and keeps what is in them."""

    clock: Callable[[], float] = lambda: 0.0
    bundles: list[Resource] = field(default_factory=list)
    resources: dict[str, Resource] = field(default_factory=dict)
    on_transaction: Callable[[], object] | None = None

    def answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/base/")
        if path == "metadata":
            return httpx.Response(200, json={"resourceType": "CapabilityStatement"})
        if request.method == "GET" and "/" in path:
            found = self.resources.get(path)
            return httpx.Response(404) if found is None else httpx.Response(200, json=found)
        if request.method == "GET":
            return self._search(path, request.url.params)
        return self._transaction(json.loads(request.content))

    def put(self, resource: Resource) -> str:
        """Keep a resource as a new version; give its type and id."""
        kind = resource["resourceType"]
        number = resource.get("id") or str(len(self.resources) + 1)
        name = f"{kind}/{number}"
        before = int(self.resources.get(name, {}).get("meta", {}).get("versionId", "0"))
        moment = datetime.fromtimestamp(self.clock(), UTC).isoformat(timespec="milliseconds")
        meta = {
            **resource.get("meta", {}),
            "versionId": str(before + 1),
            "lastUpdated": moment.replace("+00:00", "Z"),
        }
        self.resources[name] = {**resource, "id": number, "meta": meta}
        return name

    def of_type(self, kind: str) -> list[Resource]:
        return [each for name, each in self.resources.items() if name.startswith(f"{kind}/")]

    def _transaction(self, bundle: Resource) -> httpx.Response:
        self.bundles.append(bundle)
        if self.on_transaction is not None:
            meanwhile, self.on_transaction = self.on_transaction, None
            meanwhile()
        text = json.dumps(bundle)
        names: list[str] = []
        for entry in bundle["entry"]:
            name = self._name(entry)
            if name is None:
                return httpx.Response(412, json={"resourceType": "OperationOutcome", "issue": []})
            names.append(name)
            text = text.replace(f'"{entry["fullUrl"]}"', f'"{name}"')
        for name, entry in zip(names, json.loads(text)["entry"], strict=True):
            if name not in self.resources or entry["request"]["method"] == "PUT":
                self.put({**entry["resource"], "id": name.partition("/")[2]})
        made = [{"response": {"status": "201 Created", "location": name}} for name in names]
        kind = "transaction-response"
        return httpx.Response(200, json={"resourceType": "Bundle", "type": kind, "entry": made})

    def _name(self, entry: Resource) -> str | None:
        """Give what an entry will be; None if it asks for a version that is no more."""
        request = entry["request"]
        if request["method"] == "PUT":
            name: str = request["url"]
            version = self.resources[name]["meta"]["versionId"]
            return name if request.get("ifMatch") == f'W/"{version}"' else None
        criterion = request["ifNoneExist"].partition("=")[2]
        for name, each in self.resources.items():
            known = [*each.get("identifier", []), *each.get("meta", {}).get("tag", [])]
            if name.startswith(f"{request['url']}/") and any(
                f"{one.get('system')}|{one.get('value', one.get('code'))}" == criterion
                for one in known
            ):
                return name
        return f"{request['url']}/{entry['fullUrl'].rpartition(':')[2]}"

    def _search(self, kind: str, query: httpx.QueryParams) -> httpx.Response:
        found = self.of_type(kind)
        if "identifier" in query:
            found = [
                each for each in found if _has(each.get("identifier", []), query["identifier"])
            ]
        if "code" in query:
            found = [each for each in found if _has(each["code"].get("coding", []), query["code"])]
        if "status" in query:
            found = [each for each in found if each["status"] in query["status"].split(",")]
        since = query.get("_lastUpdated", "ge").removeprefix("ge")
        found = [each for each in found if each["meta"]["lastUpdated"] >= since]
        found.sort(key=lambda each: str(each["meta"]["lastUpdated"]))
        entries = [{"resource": each} for each in found[: int(query.get("_count", PAGE))]]
        return httpx.Response(200, json={"resourceType": "Bundle", "entry": entries})


def _has(coded: list[dict[str, str]], token: str) -> bool:
    return any(
        f"{each.get('system')}|{each.get('value', each.get('code'))}" == token for each in coded
    )
