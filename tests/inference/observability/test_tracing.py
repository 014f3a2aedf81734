import asyncio
import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
import structlog
from opentelemetry.sdk.trace import TracerProvider
from starlette.datastructures import Headers

from lentigo_contract.repository.store import ModelStore
from lentigo_inference.observability.logging import ThrottleFilter
from lentigo_inference.observability.tracing import Tracing, parent_of, traces_wanted
from lentigo_inference.settings import Settings
from tests.fakes import jpeg_bytes
from tests.inference.live_app import PREDICTIONS, running
from tests.inference.observability.collector import DEADLINE_S, Collector, attributes, collecting
from tests.inference.observability.test_trace_context import PARENT, TRACE
from tests.models import publish_plain

anyio = pytest.mark.anyio

REQUEST = f"POST {PREDICTIONS}"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        yield collector


@anyio
async def test_a_prediction_is_a_span_of_the_callers_trace_with_its_steps_below(
    settings: Settings, store: ModelStore, collector: Collector
) -> None:
    publish_plain(store, 1)
    async with running(settings, tracing=Tracing()) as service:
        response = await service.predict(headers={"traceparent": PARENT})
    assert response.status_code == 200
    assert "traceparent" not in response.headers
    whole = collector.until(REQUEST)
    assert (whole.trace_id.hex(), whole.parent_span_id.hex()) == (TRACE, PARENT.split("-")[2])
    assert attributes(whole) == {
        "http.request.method": "POST",
        "http.route": PREDICTIONS,
        "http.response.status_code": 200,
        "lentigo.model.version": 1,
    }
    steps = {name: collector.until(name) for name in ("decode", "queue", "inference")}
    for step in steps.values():
        assert (step.trace_id, step.parent_span_id) == (whole.trace_id, whole.span_id)
        assert whole.start_time_unix_nano <= step.start_time_unix_nano <= step.end_time_unix_nano
        assert step.end_time_unix_nano <= whole.end_time_unix_nano
    assert attributes(steps["inference"]) == {"lentigo.batch.size": 1}
    assert steps["decode"].end_time_unix_nano <= steps["queue"].start_time_unix_nano
    assert steps["queue"].end_time_unix_nano == steps["inference"].start_time_unix_nano
    assert abs(whole.start_time_unix_nano / 1e9 - time.time()) < 300


@anyio
async def test_without_a_traceparent_a_trace_starts_and_the_log_has_it(
    settings: Settings, store: ModelStore, collector: Collector
) -> None:
    publish_plain(store, 1)
    with structlog.testing.capture_logs([structlog.contextvars.merge_contextvars]) as logs:
        async with running(settings, tracing=Tracing()) as service:
            await service.predict()
    (line,) = [entry for entry in logs if entry["event"] == "request"]
    assert collector.until(REQUEST).trace_id.hex() == line["trace_id"]


@anyio
async def test_a_caller_that_does_not_sample_is_followed_in_the_log_alone(
    settings: Settings, store: ModelStore, collector: Collector
) -> None:
    publish_plain(store, 1)
    with structlog.testing.capture_logs([structlog.contextvars.merge_contextvars]) as logs:
        async with running(settings, tracing=Tracing()) as service:
            await service.predict(headers={"traceparent": PARENT[:-1] + "0"})
            await service.client.get("/v2")
    collector.until("GET /v2")
    assert collector.named(REQUEST) == []
    assert [entry["trace_id"] for entry in logs if entry.get("route") == PREDICTIONS] == [TRACE]


@anyio
async def test_spans_report_failures_and_nothing_that_names_a_patient(
    settings: Settings, collector: Collector
) -> None:
    async with running(settings, tracing=Tracing()) as service:
        await service.client.post(
            f"{PREDICTIONS}?note=Jane-Doe",
            files={"image": ("Jane-Doe.jpg", jpeg_bytes())},
            headers={"Referer": "Jane-Doe", "User-Agent": "Jane-Doe"},
        )
        await service.client.get("/v1/Jane-Doe.jpg")
        await service.client.request("JANE-DOE", "/v2/models/Jane-Doe")
    failed = collector.until(REQUEST)
    assert failed.status.code == failed.status.STATUS_CODE_ERROR
    assert attributes(failed)["error.type"] == "not-ready"
    lost = collector.until("GET")
    assert lost.status.code == lost.status.STATUS_CODE_UNSET
    assert attributes(lost)["error.type"] == "not-found"
    collector.until("_OTHER /v2/models/{model}")
    assert not any(b"Jane" in body or b"JANE" in body for body in collector.bodies)


@anyio
async def test_probes_and_scrapes_are_not_traced(settings: Settings, collector: Collector) -> None:
    async with running(settings, tracing=Tracing()) as service:
        await service.client.get("/v2/health/ready")
        await service.client.get("/metrics")
        await service.client.get("/v2")
    collector.until("GET /v2")
    assert len(collector.spans()) == 1


@anyio
async def test_images_of_one_batch_share_its_span(
    settings: Settings, store: ModelStore, collector: Collector
) -> None:
    publish_plain(store, 1)
    tensor = {"name": "image", "datatype": "UINT8", "shape": [2, 224, 224, 3]}
    body = {"inputs": [{**tensor, "data": [0] * (2 * 224 * 224 * 3)}]}
    async with running(settings, tracing=Tracing()) as service:
        await service.client.post("/v2/models/lentigo/infer", json=body)
    whole = collector.until("POST /v2/models/{model}/infer")
    assert attributes(whole)["lentigo.images"] == 2
    (step,) = collector.named("inference")
    assert attributes(step) == {"lentigo.batch.size": 2}


@anyio
async def test_the_service_name_is_ours_or_the_operators(
    settings: Settings, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, name in (("", "lentigo-inference"), ("ward-7", "ward-7")):
        monkeypatch.setenv("OTEL_SERVICE_NAME", variable)
        collector.requests.clear()
        async with running(settings, tracing=Tracing()) as service:
            await service.client.get("/v2")
        collector.until("GET /v2")
        assert collector.resource()["service.name"] == name


@anyio
async def test_a_missing_collector_fails_no_request_and_delays_stopping_by_a_second_at_most(
    settings: Settings, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_plain(store, 1)
    begun, closed, gave_up = threading.Event(), threading.Event(), threading.Event()
    shut_down = TracerProvider.shutdown

    def shut_down_late(provider: TracerProvider) -> None:
        # The SDK alone would wait for ten seconds and more; this waits until the service closed.
        begun.set()
        if not closed.wait(DEADLINE_S):
            gave_up.set()
        shut_down(provider)

    monkeypatch.setattr(TracerProvider, "shutdown", shut_down_late)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        # It takes connections and never answers.
        monkeypatch.setenv(
            "OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}"
        )
        tracing = Tracing()
        async with running(settings, tracing=tracing) as service:
            answers = await asyncio.gather(*(service.predict() for _ in range(8)))
            try:
                await asyncio.to_thread(tracing.close)
                assert begun.wait(DEADLINE_S)
                assert not gave_up.is_set()
            finally:
                closed.set()
    assert [answer.status_code for answer in answers] == [200] * 8


@anyio
async def test_invalid_variables_leave_the_service_without_traces(
    settings: Settings, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "-1")
    with structlog.testing.capture_logs() as logs:
        async with running(settings, tracing=Tracing()) as service:
            assert (await service.client.get("/v2")).status_code == 200
    assert "traces cannot be set up" in [entry["event"] for entry in logs]
    assert collector.bodies == []


@anyio
async def test_the_frameworks_own_telemetry_is_off(
    settings: Settings, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FASTAPI_OTEL_AUTO_CONFIGURE", "true")
    async with running(settings) as service:
        assert service.app._native_telemetry.enabled() is False
        await service.client.get("/v2/models/Jane-Doe?note=Jane-Doe")
    assert collector.bodies == []


@anyio
async def test_without_tracing_the_log_still_has_the_callers_trace(settings: Settings) -> None:
    with structlog.testing.capture_logs([structlog.contextvars.merge_contextvars]) as logs:
        async with running(settings) as service:
            await service.client.get("/v2", headers={"traceparent": PARENT})
            await service.client.get("/v2", headers={"traceparent": "x"})
    lines = [entry for entry in logs if entry["event"] == "request"]
    assert [entry.get("trace_id") for entry in lines] == [TRACE, None]


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_SDK_DISABLED": "TRUE"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_TRACES_EXPORTER": "none"}, False),
    ],
    ids=range(6),
)
def test_traces_are_wanted_when_an_endpoint_is_set(
    environment: dict[str, str], wanted: bool
) -> None:
    assert traces_wanted(environment) is wanted


def test_without_an_endpoint_the_sdk_is_not_imported() -> None:
    code = (
        "import sys, lentigo_inference.startup as main\n"
        "from lentigo_inference.settings import Settings\n"
        "main.create_app(Settings())\n"
        "bad = ('opentelemetry.sdk', 'opentelemetry.exporter', 'requests', 'google.protobuf')\n"
        "sys.exit(str([name for name in sys.modules if name.startswith(bad)] or ''))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.stderr.strip() == ""


def test_before_opening_nothing_is_traced_and_closing_is_harmless() -> None:
    tracing = Tracing()
    assert tracing.begin("GET", "/", parent_of(Headers())) is None
    tracing.close()


def test_a_repeated_message_passes_once_per_interval() -> None:
    now = 0.0
    throttle = ThrottleFilter(600, lambda: now)

    def shown(text: str, *arguments: object) -> bool:
        return throttle.filter(logging.LogRecord("a", 30, "", 0, text, arguments, None))

    assert [shown("away: %s", turn) for turn in range(3)] == [True, False, False]
    assert shown("another")
    now = 600.0
    assert shown("away: %s", 4)
