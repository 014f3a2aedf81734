"""The alert rules, evaluated by Prometheus' own `promtool`, if it is installed.

Debian's package `prometheus` has it. `tests/inference/monitoring` holds the same rules to a running
service, and `tests/e2e/test_prometheus.py` has a real Prometheus scrape one.
"""

import json
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from tests.project.test_monitoring import ALERTS, alerts

PROMTOOL: Final = shutil.which("promtool")
MINUTES: Final = 90

with_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="promtool is not installed (apt-get install prometheus)"
)


@dataclass(frozen=True)
class Case:
    """Series that fire an alert, and others that do not: by minutes, as promtool writes them."""

    firing: dict[str, str]
    quiet: dict[str, str]
    also_firing: dict[str, str] = field(default_factory=dict)


def always(value: float) -> str:
    """The same value in each minute."""
    return f"{value}x{MINUTES}"


def growing(a_minute: float) -> str:
    """A counter that grows."""
    return f"0+{a_minute}x{MINUTES}"


def gauge(series: str, firing: float, quiet: float) -> Case:
    return Case({series: always(firing)}, {series: always(quiet)})


def drift(feature: str) -> Case:
    return gauge(f'lentigo_input_drift_low{{feature="{feature}"}}', 0.21, 0.19)


def buckets(fast: float) -> dict[str, str]:
    """Ten predictions a minute, of which so many take less than a tenth of a second."""
    name = "lentigo_http_request_duration_seconds_bucket"
    counts = {"0.1": fast, "2.5": fast, "5": 10, "+Inf": 10}
    return {
        f'{name}{{route="/v1/predictions", le="{le}"}}': growing(count)
        for le, count in counts.items()
    }


def requests(refused: float) -> dict[str, str]:
    """A hundred predictions a minute, of which so many get 503."""
    name = "lentigo_http_requests_total"
    return {
        f'{name}{{route="/v1/predictions", status="503"}}': growing(refused),
        f'{name}{{route="/v1/predictions", status="200"}}': growing(100 - refused),
    }


def judged(unaccepted: float, decoded: float) -> dict[str, str]:
    return {
        'lentigo_unaccepted_images_total{reason="blurred"}': growing(unaccepted),
        "lentigo_decode_seconds_count": growing(decoded),
    }


def fetched(success: str) -> dict[str, str]:
    name = "lentigo_oidc_fetches_total"
    return {f'{name}{{outcome="failure"}}': growing(1), f'{name}{{outcome="success"}}': success}


def calibration(low: float, high: float) -> dict[str, str]:
    figure = '{figure="calibration_difference"}'
    return {
        f"lentigo_confirmed_figure_low{figure}": always(low),
        f"lentigo_confirmed_figure_high{figure}": always(high),
    }


def versions(other: int) -> dict[str, str]:
    return {
        'lentigo_model_info{version="4", instance="a"}': always(1),
        f'lentigo_model_info{{version="{other}", instance="b"}}': always(1),
    }


def of_limit(name: str, limit: str, used: float) -> dict[str, str]:
    return {f'{name}{{job="lentigo"}}': always(used), f'{limit}{{job="lentigo"}}': always(100)}


CASES: Final[dict[str, Case]] = {
    "LentigoDown": gauge('up{job="lentigo"}', 0, 1),
    "LentigoAbsent": Case({'up{job="another"}': always(1)}, {'up{job="lentigo"}': always(0)}),
    "LentigoNotReady": gauge("lentigo_ready", 0, 1),
    "LentigoFailing": Case(
        {'lentigo_rejections_total{reason="internal"}': f"0x{MINUTES - 4} 1x10"},
        {'lentigo_rejections_total{reason="internal"}': always(1)},
    ),
    "LentigoRefusing": Case(requests(10), requests(1)),
    "LentigoSlow": Case(buckets(9), buckets(10)),
    "LentigoCannotJudge": Case(judged(3, 10), judged(1, 10), also_firing=judged(0.2, 0.4)),
    "LentigoNearlyFull": Case(
        of_limit("lentigo_queue_images", "lentigo_queue_images_limit", 81),
        of_limit("lentigo_queue_images", "lentigo_queue_images_limit", 79),
        also_firing=of_limit(
            "lentigo_pending_predictions", "lentigo_pending_predictions_limit", 81
        ),
    ),
    "LentigoVersionRefused": gauge("lentigo_model_versions_refused", 1, 0),
    "LentigoRepositoryUnreadable": gauge("lentigo_model_repository_readable", 0, 1),
    "LentigoVersionsDiffer": Case(versions(3), versions(4)),
    "LentigoKeysRefused": Case(
        {'lentigo_rejections_total{reason="unauthorized"}': growing(120)},
        {'lentigo_rejections_total{reason="unauthorized"}': growing(6)},
    ),
    "LentigoIssuerUnreachable": Case(fetched(always(5)), fetched(growing(1))),
    "LentigoAuditFailing": Case(
        {'lentigo_audit_records_total{outcome="failure"}': growing(1)},
        {'lentigo_audit_records_total{outcome="failure"}': always(0)},
    ),
    "LentigoShadowDown": gauge("lentigo_shadow_version", 0, 4),
    "LentigoFilesOpen": Case(
        of_limit("process_open_fds", "process_max_fds", 81),
        of_limit("process_open_fds", "process_max_fds", 79),
    ),
    "LentigoSensitivityLow": gauge(
        'lentigo_confirmed_figure_high{figure="referral_sensitivity"}', 0.94, 0.95
    ),
    "LentigoMiscalibrated": Case(
        calibration(0.06, 0.2), calibration(-0.04, 0.04), also_firing=calibration(-0.2, -0.06)
    ),
    "LentigoBrightnessDrift": drift("brightness"),
    "LentigoSharpnessDrift": drift("sharpness"),
    "LentigoUnlikenessDrift": drift("unlikeness"),
    "LentigoDiagnosesDrift": drift("diagnoses"),
}


def test_every_alert_has_a_case() -> None:
    assert set(CASES) == {rule["alert"] for rule in alerts()}


def in_words_of_promtool(alert: str, series: dict[str, str], *, fires: bool) -> dict[str, Any]:
    """A test of one alert: it is never there at once, and after its time if it fires."""
    expression = f'count(ALERTS{{alertname="{alert}", alertstate="firing"}})'
    sample = [{"value": 1}] if fires else []
    return {
        "name": f"{alert} {'fires' if fires else 'is quiet'}",
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {"expr": expression, "eval_time": "0m", "exp_samples": []},
            {"expr": expression, "eval_time": f"{MINUTES - 1}m", "exp_samples": sample},
        ],
    }


def promtool(*arguments: str) -> str:
    """Run it, and return what it says if it finds something wrong."""
    assert PROMTOOL is not None
    run = subprocess.run([PROMTOOL, *arguments], capture_output=True, text=True, check=False)
    return "" if run.returncode == 0 else run.stdout + run.stderr


@with_promtool
def test_prometheus_accepts_the_rules() -> None:
    assert promtool("check", "rules", str(ALERTS)) == ""


@with_promtool
def test_every_alert_fires_when_it_should_and_at_no_other_time(tmp_path: Path) -> None:
    tests = [
        in_words_of_promtool(alert, series, fires=fires)
        for alert, case in CASES.items()
        for series, fires in ((case.firing, True), (case.also_firing, True), (case.quiet, False))
        if series
    ]
    file = tmp_path / "alerts.json"
    # JSON is YAML.
    file.write_text(
        json.dumps({"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": tests})
    )
    assert promtool("test", "rules", str(file)) == ""
