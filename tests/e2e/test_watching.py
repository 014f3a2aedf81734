"""Metrics and traces of the service as it is run."""

import socket
from pathlib import Path

from tests.e2e.service_process import service_process
from tests.inference.observability.collector import collecting
from tests.inference.observability.test_trace_context import PARENT, TRACE


def test_spans_are_sent_before_the_end_and_the_log_has_their_trace(tmp_path: Path) -> None:
    with (
        collecting() as collector,
        service_process(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url) as service,
    ):
        service.client.get("/v2", headers={"traceparent": PARENT})
        service.logged("request", route="/v2", trace_id=TRACE)
        assert service.stop() == 0
        assert collector.until("GET /v2").trace_id.hex() == TRACE
        assert collector.resource()["service.name"] == "lentigo-inference"


def test_a_collector_that_is_away_changes_neither_answers_nor_the_end(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        service_process(
            tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{silent.getsockname()[1]}"
        ) as service,
    ):
        assert service.client.get("/v2").status_code == 200
        assert service.stop() == 0
        assert not any("Traceback" in line for line in service.lines)


def test_the_process_exposes_its_metrics(tmp_path: Path) -> None:
    with service_process(tmp_path) as service:
        service.client.get("/v2/Jane-Doe")
        text = service.client.get("/metrics").text
    assert 'lentigo_http_requests_total{method="GET",route="unmatched",status="404"} 1.0' in text
    assert "lentigo_ready 0.0" in text
    assert "Jane-Doe" not in text
    assert "_created" not in text
