"""The dashboard, the alerts and the documents about metrics, held to the metrics there are."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric

from lentigo_contract.imaging.quality import REASONS
from lentigo_contract.labels import CODES
from lentigo_contract.repository.store import ModelStore
from lentigo_inference.app import create_app
from lentigo_inference.monitoring.agreement import compare
from lentigo_inference.monitoring.drift import summarize
from lentigo_inference.monitoring.gauges import MonitoringGauges
from lentigo_inference.monitoring.monitor import Monitor
from lentigo_inference.observability.metrics import Metrics
from lentigo_inference.problem_types import INTERNAL, INVALID_PARAMETER, PROBLEMS
from lentigo_inference.serving.batcher import Batcher, BatchLimits, Throughput
from lentigo_inference.serving.engine_thread import EngineThread
from lentigo_inference.serving.gauges import ServingGauges
from lentigo_inference.serving.limits.admission import Admission, Shutdown
from lentigo_inference.serving.model_manager import ModelManager
from lentigo_inference.serving.model_slot import ModelSlot
from lentigo_inference.settings import Settings
from lentigo_inference.shadow.counts import ShadowCounts
from tests.models import load_plain
from tests.project.test_documents import rows

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "deploy/grafana/lentigo.json"
ALERTS = ROOT / "deploy/prometheus/alerts.yml"
YAML_FILES = sorted((ROOT / "deploy").rglob("*.yml"))

# What Prometheus adds itself.
PROMETHEUS_METRICS: Final = {"up"}
PROMETHEUS_LABELS: Final = {"instance", "job", "le"}

SUFFIXES: Final = {
    "counter": ("_total",),
    "histogram": ("_bucket", "_count", "_sum"),
    "info": ("_info",),
    "gauge": ("",),
}

MODIFIERS: Final = "by|without|on|ignoring|group_left|group_right"
WORDS: Final = {"and", "or", "unless", "bool", "offset", "inf", "nan"}


def families(store: ModelStore) -> list[Metric]:
    """Every metric of the service."""
    registry = CollectorRegistry()
    Metrics(registry)
    slot, shutdown = ModelSlot(lambda _model: None), Shutdown()
    batcher = Batcher(EngineThread().predict, BatchLimits(), Throughput())
    model_manager = ModelManager(store, slot, load_plain)
    registry.register(ServingGauges(slot, model_manager, batcher, Admission(1), shutdown))
    registry.register(MonitoringGauges(slot, Monitor(None)))
    registry.register(ShadowCounts())
    return list(registry.collect())


@pytest.fixture
def names(tmp_path: Path) -> set[str]:
    """Every name that a query may use."""
    return {
        metric.name + suffix
        for metric in families(ModelStore(tmp_path))
        for suffix in SUFFIXES[metric.type]
    }


def metrics_of(query: str) -> set[str]:
    """The metrics of a PromQL query: its names that are no function, keyword or label.

    Strings, label matchers, label lists, ranges and Grafana's variables are taken out first.
    """
    text = re.sub(r'"(?:\\.|[^"\\])*"', "", query)
    text = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\$\w+", " ", text)
    text = re.sub(rf"\b(?:{MODIFIERS})\s*\([^)]*\)", " ", text)
    found = re.findall(r"(?<![\w:.])([a-zA-Z_:][\w:]*)(?!\s*\()(?![\w:])", text)
    return set(found) - WORDS


def labels_of(query: str) -> set[str]:
    """The labels of a PromQL query, in matchers and lists."""
    text = re.sub(r'"(?:\\.|[^"\\])*"', '""', query)
    matched = re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*""', text)
    listed = re.findall(rf"\b(?:{MODIFIERS})\s*\(([^)]*)\)", text)
    return {*matched, *(label.strip() for each in listed for label in each.split(",") if label)}


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return found


def queries() -> Iterator[str]:
    for rule in alerts():
        yield rule["expr"]
    for panel in panels():
        for target in panel.get("targets", ()):
            yield target["expr"]
    for variable in json.loads(DASHBOARD.read_text())["templating"]["list"]:
        if variable["type"] == "query":
            (inner,) = re.findall(r"label_values\((.*), \w+\)", variable["definition"])
            yield inner


def test_names_are_found_in_a_query() -> None:
    query = """
        histogram_quantile(0.9, sum by (le, b) (rate(a_bucket{c=~"d(e)", f!=""}[5m])))
          / on (g) group_left (h) sum(i:j_total) > bool 0.5 or k{l="$m"} offset 1h and scalar(n)
    """
    assert metrics_of(query) == {"a_bucket", "i:j_total", "k", "n"}
    assert labels_of(query) == {"le", "b", "c", "f", "g", "h", "l"}


@pytest.mark.parametrize("query", sorted(set(queries())))
def test_every_metric_that_is_asked_for_exists(query: str, names: set[str]) -> None:
    assert metrics_of(query)
    assert metrics_of(query) <= names | PROMETHEUS_METRICS


@pytest.mark.parametrize("query", sorted(set(queries())))
def test_every_label_that_is_asked_for_is_in_the_documents(query: str) -> None:
    told = {
        label.strip("` ")
        for row in rows("reference/metrics.md", r"`(lentigo|process)_\w+`").values()
        for label in row[1].split(",")
    }
    assert labels_of(query) <= told | PROMETHEUS_LABELS


def test_every_value_of_a_label_that_we_give_out_exists() -> None:
    given = {
        "reason": {kind.slug for kind in (INTERNAL, INVALID_PARAMETER, *PROBLEMS.values())}
        | set(REASONS),
        "outcome": {"success", "failure"},
        "diagnosis": set(CODES),
        "figure": set(compare([]).figures()),
        "feature": set(summarize([], None, None).drifts()),
    }
    asked = [
        (label, value)
        for query in queries()
        for label, values in re.findall(r'(\w+)\s*=~?\s*"([^"]*)"', query)
        if label in given
        for value in values.split("|")
    ]
    assert asked
    assert [(label, value) for label, value in asked if value not in given[label]] == []


def test_every_route_that_is_asked_for_exists() -> None:
    served = list(create_app(Settings()).openapi()["paths"])
    for query in queries():
        for values in re.findall(r'route=~?"([^"]*)"', query):
            for pattern in values.split("|"):
                assert any(re.fullmatch(pattern, path) for path in served), pattern


@pytest.mark.parametrize("query", sorted(set(queries())))
def test_every_bracket_closes(query: str) -> None:
    text = re.sub(r'"(?:\\.|[^"\\])*"', "", query)
    for opening, closing in ("()", "[]", "{}"):
        assert text.count(opening) == text.count(closing)


@pytest.mark.parametrize("file", YAML_FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_the_files_are_well_formed(file: Path) -> None:
    assert isinstance(yaml.safe_load(file.read_text()), dict)


def test_prometheus_reads_the_rules_that_are_beside_it() -> None:
    configuration = yaml.safe_load((ALERTS.parent / "prometheus.yml").read_text())
    assert configuration["rule_files"] == [ALERTS.name]
    (job,) = configuration["scrape_configs"]
    assert (job["job_name"], job["metrics_path"]) == ("lentigo", "/metrics")


def test_the_dashboard_asks_the_data_source_that_is_provisioned() -> None:
    folder = DASHBOARD.parent / "provisioning"
    (source,) = yaml.safe_load((folder / "datasources/prometheus.yml").read_text())["datasources"]
    assert source["type"] == "prometheus"
    for panel in panels():
        if panel["type"] != "row":
            assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            assert panel["targets"]


def test_the_panels_have_their_own_numbers_and_places() -> None:
    assert len({panel["id"] for panel in panels()}) == len(panels())
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_every_alert_says_how_bad_it_is_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["for"]
    assert rule["annotations"]["summary"]
    assert rule["alert"] in rows("how-to/monitor.md", r"`Lentigo\w+`")


def test_the_guide_lists_no_alert_that_does_not_exist() -> None:
    assert set(rows("how-to/monitor.md", r"`Lentigo\w+`")) == {rule["alert"] for rule in alerts()}


def test_the_reference_lists_every_metric_and_no_other(tmp_path: Path) -> None:
    told = {name: row[0] for name, row in rows("reference/metrics.md", r"`lentigo_\w+`").items()}
    assert told == {
        metric.name + {"counter": "_total", "info": "_info"}.get(metric.type, ""): metric.type
        for metric in families(ModelStore(tmp_path))
        if metric.name.startswith("lentigo_")
    }
