"""Prometheus metrics: what is counted and timed while the service runs.

Names and units follow https://prometheus.io/docs/practices/naming/. `docs/reference/metrics.md`
explains each. The gauges of the service's state are in `serving.gauges`.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from lentigo_contract.imaging.quality import REASONS
from lentigo_contract.labels import CODES
from lentigo_inference import __version__
from lentigo_inference.errors import Unauthorized
from lentigo_inference.observability.records import (
    AuditRecord,
    BatchRecord,
    DecodeTimes,
    LoadRecord,
    RequestRecord,
)
from lentigo_inference.problem_types import INTERNAL, INVALID_PARAMETER, PROBLEMS

# Upper bounds in seconds. A prediction takes tens of milliseconds, and under load up to
# LENTIGO_REQUEST_TIMEOUT_S.
_REQUEST_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_STEP_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_LOAD_S: Final = (0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_IMAGES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)

# A client may send any word as the method; RFC 9110 and RFC 5789 define these.
_METHODS: Final = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"}
)
# The name for all others in OpenTelemetry's conventions.
OTHER_METHOD: Final = "_OTHER"


class Metrics:
    """The counters and histograms. Safe from any thread; each call takes microseconds."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register them; the registry must have none of these names yet."""
        self.registry = registry
        self._requests = Counter(
            "lentigo_http_requests_total",
            "Requests, by the route's template; 0 is no answer, 499 a client that left.",
            ("method", "route", "status"),
            registry=registry,
        )
        self._request_seconds = Histogram(
            "lentigo_http_request_duration_seconds",
            "Time from a request's first byte to the end of its answer, upload included.",
            ("method", "route"),
            registry=registry,
            buckets=_REQUEST_S,
        )
        self._rejections = Counter(
            "lentigo_rejections_total",
            "Requests, and images of a batch, that got an error, by its problem type.",
            ("reason",),
            registry=registry,
        )
        self._unauthorized = Counter(
            "lentigo_unauthorized_total",
            "Requests that were not let in, by the reason.",
            ("reason",),
            registry=registry,
        )
        self._issuer_answers = Counter(
            "lentigo_oidc_fetches_total",
            "Times that the keys of the OIDC issuer were fetched, or could not be.",
            ("outcome",),
            registry=registry,
        )
        self._predictions = Counter(
            "lentigo_predictions_total",
            "Images that were diagnosed, by the diagnosis.",
            ("diagnosis",),
            registry=registry,
        )
        self._unaccepted = Counter(
            "lentigo_unaccepted_images_total",
            "Images that cannot be judged, by the reason; an image may have several.",
            ("reason",),
            registry=registry,
        )
        self._queue_wait = _seconds(
            "lentigo_queue_wait", "An image waited for the engine", registry
        )
        self._decode_wait = _seconds(
            "lentigo_decode_wait", "An image waited for a thread", registry
        )
        self._decode = _seconds("lentigo_decode", "Reading an image took", registry)
        self._inference = _seconds("lentigo_inference", "The engine took for a batch", registry)
        self._batch_images = Histogram(
            "lentigo_batch_images",
            "Images that the engine computed together.",
            registry=registry,
            buckets=_IMAGES,
        )
        self._loads = Counter(
            "lentigo_model_loads_total",
            "Versions that were loaded, or could not be.",
            ("outcome",),
            registry=registry,
        )
        self._load_seconds = Histogram(
            "lentigo_model_load_seconds",
            "Time to verify, load and warm up a version, or to find out that it cannot be used.",
            registry=registry,
            buckets=_LOAD_S,
        )
        self._loaded_at = Gauge(
            "lentigo_model_loaded_timestamp_seconds",
            "When a version was last brought into use, in Unix time; 0 is never.",
            registry=registry,
        )
        self._audit_records = Counter(
            "lentigo_audit_records_total",
            "Records that the audit trail took, or could not take.",
            ("outcome",),
            registry=registry,
        )
        self._audit_write = _seconds(
            "lentigo_audit_write", "Writing and flushing records of the audit trail took", registry
        )
        build = Gauge(
            "lentigo_build_info", "The release that runs.", ("version",), registry=registry
        )
        build.labels(__version__).set(1)
        ProcessCollector(registry=registry)
        self._start_at_zero()

    def _start_at_zero(self) -> None:
        """Start every series at zero, because a rate misses the first sample of a new series."""
        for kind in (INTERNAL, INVALID_PARAMETER, *PROBLEMS.values()):
            self._rejections.labels(kind.slug)
        for cause in Unauthorized:
            self._unauthorized.labels(cause)
        for code in CODES:
            self._predictions.labels(code)
        for reason in REASONS:
            self._unaccepted.labels(reason)
        for outcome in ("success", "failure"):
            self._loads.labels(outcome)
            self._audit_records.labels(outcome)
            self._issuer_answers.labels(outcome)

    @contextmanager
    def including(self, state: Collector) -> Iterator[None]:
        """Report what a collector reads, too, for as long as the context lasts."""
        self.registry.register(state)
        try:
            yield
        finally:
            self.registry.unregister(state)

    def answered(
        self, method: str, route: str, status: int, seconds: float, record: RequestRecord
    ) -> None:
        """Count a finished request.

        Args:
            method: one of a few; see `known_method`.
            route: the template of the route, or one word for all paths that match none.
            status: of the response; 0 if there was none.
            seconds: how long it took.
            record: what was recorded of it.
        """
        self._requests.labels(method, route, status).inc()
        self._request_seconds.labels(method, route).observe(seconds)
        for slug in record.rejections:
            self._rejections.labels(slug).inc()
        if record.unauthorized is not None:
            self._unauthorized.labels(record.unauthorized).inc()
        for reason in record.unaccepted:
            self._unaccepted.labels(reason).inc()

    def decoded(self, times: DecodeTimes) -> None:
        """Count an image that was decoded, or could not be."""
        self._decode_wait.observe(times.waited_s)
        self._decode.observe(times.took_s)

    def computed(self, batch: BatchRecord) -> None:
        """Count a batch that was computed."""
        self._batch_images.observe(batch.size)
        self._inference.observe(batch.engine_s)
        for waited_s in batch.waited_s:
            self._queue_wait.observe(waited_s)

    def predicted(self, diagnoses: Iterable[int]) -> None:
        """Count diagnoses, by their class numbers."""
        for diagnosis in diagnoses:
            self._predictions.labels(CODES[diagnosis]).inc()

    def loaded(self, load: LoadRecord) -> None:
        """Count an attempt to bring a version into use."""
        self._loads.labels("success" if load.succeeded else "failure").inc()
        self._load_seconds.observe(load.seconds)
        if load.succeeded:
            self._loaded_at.set_to_current_time()

    def issuer_asked(self, succeeded: bool) -> None:
        """Count an attempt to fetch the keys of the OIDC issuer."""
        self._issuer_answers.labels("success" if succeeded else "failure").inc()

    def audited(self, record: AuditRecord) -> None:
        """Count a write of the audit trail."""
        outcome = "success" if record.succeeded else "failure"
        self._audit_records.labels(outcome).inc(record.records)
        if record.records and record.succeeded:
            self._audit_write.observe(record.seconds)


def known_method(method: str) -> str:
    """Return the method, or one name for all unknown ones."""
    return method if method in _METHODS else OTHER_METHOD


def _seconds(name: str, what: str, registry: CollectorRegistry) -> Histogram:
    return Histogram(f"{name}_seconds", f"{what} so long.", registry=registry, buckets=_STEP_S)
