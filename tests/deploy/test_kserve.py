"""KServe's runtime and service, held to our image and, if they are there, to KServe's schemas."""

import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

import lentigo_inference
from lentigo_inference.settings import Settings, environment_name
from tests.deploy.chart import CHART, ROOT, Manifest

FOLDER = ROOT / "deploy/kserve"
RUNTIME = yaml.safe_load((FOLDER / "runtime.yaml").read_text())
SERVICE = yaml.safe_load((FOLDER / "inference-service.yaml").read_text())


def strict(schema: Any) -> Any:
    """Refuse members that a schema of a CRD does not have, which Kubernetes would drop silently."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: strict(value) for name, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        closed.setdefault("additionalProperties", False)
    return closed


@pytest.mark.parametrize("manifest", [RUNTIME, SERVICE], ids=lambda manifest: manifest["kind"])
def test_it_is_what_kserve_takes(manifest: Manifest) -> None:
    folder = os.environ.get("KSERVE_CRDS")
    if not folder:
        pytest.skip("KSERVE_CRDS does not name a copy of KServe's folder config/crd/full")
    plural = f"{manifest['kind'].lower()}s"
    crd = yaml.load(
        (Path(folder) / f"serving.kserve.io_{plural}.yaml").read_text(), yaml.CSafeLoader
    )
    version = manifest["apiVersion"].partition("/")[2]
    (schema,) = [
        each["schema"]["openAPIV3Schema"]
        for each in crd["spec"]["versions"]
        if each["name"] == version
    ]
    jsonschema.Draft202012Validator(strict(schema)).validate(manifest)
    misspelt = {**manifest, "spec": {**manifest["spec"], "containerz": []}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(strict(schema)).validate(misspelt)


def test_the_service_names_the_runtime_and_the_model() -> None:
    model = SERVICE["spec"]["predictor"]["model"]
    assert model["runtime"] == RUNTIME["metadata"]["name"]
    assert model["modelFormat"]["name"] in {
        each["name"] for each in RUNTIME["spec"]["supportedModelFormats"]
    }
    assert model["protocolVersion"] in RUNTIME["spec"]["protocolVersions"]
    assert SERVICE["metadata"]["name"] == "lentigo"


def test_the_container_is_that_of_the_chart() -> None:
    """Locked down, probed and stopped alike; KServe has a port of its own."""
    (container,) = RUNTIME["spec"]["containers"]
    assert container["image"] == f"lentigo-inference:{lentigo_inference.__version__}-slim"
    assert container["resources"] == {
        kind: {name: amounts[name] for name in ("cpu", "memory")}
        for kind, amounts in yaml.safe_load((CHART / "values.yaml").read_text())[
            "resources"
        ].items()
    }
    security = container["securityContext"]
    assert security["readOnlyRootFilesystem"] is True
    assert security["runAsUser"] == 10001
    assert security["capabilities"] == {"drop": ["ALL"]}
    paths = [
        container[f"{kind}Probe"]["httpGet"]["path"]
        for kind in ("startup", "readiness", "liveness")
    ]
    assert paths == ["/v2/health/live", "/v2/health/ready", "/v2/health/live"]


def test_the_container_has_settings_that_there_are() -> None:
    (container,) = RUNTIME["spec"]["containers"]
    given = {each["name"]: each["value"] for each in container["env"]}
    assert given.keys() <= {environment_name(field) for field in Settings.model_fields}
    ports = [each["containerPort"] for each in container["ports"]]
    assert ports == [int(given["LENTIGO_PORT"])]
    takes = float(given["LENTIGO_DRAIN_S"]) + float(given["LENTIGO_SHUTDOWN_GRACE_S"])
    predictor = SERVICE["spec"]["predictor"]
    assert predictor["terminationGracePeriodSeconds"] >= takes + 5
    assert predictor["enableServiceLinks"] is False
    assert predictor["automountServiceAccountToken"] is False
