"""Resources held to FHIR by `fhir.resources`, and the references of a bundle."""

import json
from collections.abc import Iterator
from typing import Any

from fhir.resources.R4B import get_fhir_model_class

Json = dict[str, Any]


def assert_valid(resource: Json) -> None:
    """Hold a resource, and those in it, to the release 4B of FHIR, of which R4 is a part."""
    model = get_fhir_model_class(resource["resourceType"])
    model.model_validate_json(json.dumps(resource, allow_nan=False))
    for entry in resource.get("entry", ()):
        assert_valid(entry["resource"])


def by_type(bundle: Json) -> dict[str, list[Json]]:
    """Give the resources of a bundle by their type."""
    found: dict[str, list[Json]] = {}
    for entry in bundle["entry"]:
        found.setdefault(entry["resource"]["resourceType"], []).append(entry["resource"])
    return found


def observation(bundle: Json, code: str) -> Json:
    """Give the Observation with one of our codes."""
    (found,) = [
        each for each in by_type(bundle)["Observation"] if each["code"]["coding"][0]["code"] == code
    ]
    return found


def references(value: Any) -> Iterator[str]:
    """Yield every literal reference in a resource."""
    if isinstance(value, dict):
        if isinstance(value.get("reference"), str):
            yield value["reference"]
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)
