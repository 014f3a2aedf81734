"""The chart's values, held to their documents, to the schema and to the code. Needs no helm."""

import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from starlette.routing import Route

import lentigo_inference
from docs.hooks.helm_values import documented_values
from lentigo_gateway.config import GatewayConfig
from lentigo_inference.app import create_app
from lentigo_inference.settings import Settings, environment_name
from lentigo_inference.web import routes as page
from tests.deploy.chart import CHART, FEATURES, ROOT

VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA = json.loads((CHART / "values.schema.json").read_text())

# What the chart sets from values of its own.
OF_THE_CHART = {
    "LENTIGO_HOST",
    "LENTIGO_PORT",
    "LENTIGO_MODEL_REPOSITORY",
    "LENTIGO_KEY_FILE",
    "LENTIGO_PUBLISHED_ADDRESS",
    "LENTIGO_ALLOW_ANONYMOUS",
    "LENTIGO_AUDIT_DIR",
    "LENTIGO_AUDIT",
    "LENTIGO_AUDIT_KEY",
    "LENTIGO_PREVALENCE",
    "LENTIGO_FHIR_CODES",
    "LENTIGO_MODEL_KEY",
}


def paths(values: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Every member of the values, however deep."""
    for name, value in values.items():
        yield prefix + name
        if isinstance(value, dict):
            yield from paths(value, f"{prefix}{name}.")


def objects(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        if "properties" in schema and isinstance(schema["properties"], dict):
            yield schema
        for each in schema.values():
            yield from objects(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from objects(each)


def test_every_value_is_explained() -> None:
    explained = {value.path for value in documented_values()}
    groups = {path.rpartition(".")[0] for path in paths(VALUES)}
    # Amounts are explained together.
    leaves = {path for path in paths(VALUES) if path not in groups and "resources." not in path}
    assert leaves <= explained
    assert explained <= set(paths(VALUES))


def test_the_schema_has_every_value_and_is_closed() -> None:
    for path in paths(VALUES):
        schema: Any = SCHEMA
        for name in path.split("."):
            while "$ref" in schema:
                schema = SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]]
            schema = next(iter(schema.get("allOf", [])), schema)
            while "$ref" in schema:
                schema = SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]]
            assert name in schema["properties"], path
            schema = schema["properties"][name]
    assert all(each["additionalProperties"] is False for each in objects(SCHEMA))


def test_the_chart_takes_every_setting_that_it_does_not_set_itself() -> None:
    """A new setting goes into `settings` of values.schema.json, or gets a value of its own."""
    taken = set(SCHEMA["properties"]["settings"]["properties"])
    assert taken == {environment_name(field) for field in Settings.model_fields} - OF_THE_CHART


def test_the_seconds_of_stopping_are_values() -> None:
    assert set(VALUES["settings"]) == {"LENTIGO_DRAIN_S", "LENTIGO_SHUTDOWN_GRACE_S"}


def test_the_chart_carries_the_version_of_the_code() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == lentigo_inference.__version__
    assert "Research use only. Not a medical device." in chart["description"]


def test_the_autoscaler_asks_for_a_metric_that_there_is() -> None:
    text = (CHART / "templates/autoscaling.yaml").read_text()
    (metric,) = re.findall(r"metric: {name: (\w+)}", text)
    assert f"| `{metric}` | gauge |" in (ROOT / "docs/reference/metrics.md").read_text()


def test_the_ingress_passes_on_everything_but_the_metrics() -> None:
    served = {
        *create_app(Settings()).openapi()["paths"],
        *(route.path for route in page.router.routes if isinstance(route, Route)),
        "/openapi.json",
    }

    def is_passed_on(path: str) -> bool:
        return any(
            path == each["path"]
            or (each["pathType"] == "Prefix" and path.startswith(f"{each['path']}/"))
            for each in VALUES["ingress"]["paths"]
        )

    assert {path for path in served if not is_passed_on(path)} == {"/metrics"}


def test_the_alerts_are_those_of_the_compose_file() -> None:
    assert (CHART / "alerts.yml").samefile(ROOT / "deploy/prometheus/alerts.yml")


@pytest.mark.parametrize("how", ["yes", "with DICOM"])
def test_the_gateway_reads_what_the_chart_writes(how: str) -> None:
    template = (CHART / "templates/gateway.yaml").read_text()
    written = template.partition("gateway.toml: |\n")[2].partition("{{ $values.config")[0]
    written = re.sub(r"{{ include .*? }}:{{ .*? }}", "lentigo:8000", written)
    written = re.sub(r"^ *{{-.*\n", "", written, flags=re.MULTILINE)
    text = re.sub("^    ", "", written, flags=re.MULTILINE)
    text += FEATURES["gateway"][how]["gateway"]["config"]
    config = GatewayConfig.model_validate(tomllib.loads(text))
    assert config.service.url == "http://lentigo:8000"
    if config.sources.listener is not None:
        assert (config.sources.listener.host, config.sources.listener.port) == ("0.0.0.0", 11112)  # noqa: S104
