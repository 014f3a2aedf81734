"""The state of the service as Prometheus gauges, read when Prometheus asks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from lentigo_inference.serving.batcher import Batcher
from lentigo_inference.serving.limits.admission import Admission, Shutdown
from lentigo_inference.serving.model_manager import ModelManager
from lentigo_inference.serving.model_slot import ModelSlot


@dataclass(frozen=True, slots=True)
class ServingGauges(Collector):
    """Reads the state where it is kept, so that no gauge has to be kept up to date."""

    slot: ModelSlot
    model_manager: ModelManager
    batcher: Batcher
    admission: Admission
    shutdown: Shutdown

    def collect(self) -> Iterator[Metric]:
        """Return the gauges; called from a thread other than the event loop's."""
        current = self.slot.current
        gauges: dict[str, tuple[str, Callable[[], float]]] = {
            "lentigo_ready": (
                "Whether predictions are answered: 1 or 0.",
                lambda: current is not None and self.shutdown.ready,
            ),
            "lentigo_pending_predictions": (
                "Predictions under way, uploads included.",
                lambda: self.admission.under_way,
            ),
            "lentigo_pending_predictions_limit": (
                "Predictions that may be under way; LENTIGO_MAX_PENDING.",
                lambda: self.admission.limit,
            ),
            "lentigo_queue_images": (
                "Images that wait for the engine.",
                lambda: self.batcher.queued,
            ),
            "lentigo_queue_images_limit": (
                "Images that may wait; LENTIGO_QUEUE_SIZE.",
                lambda: self.batcher.limits.max_queued,
            ),
            "lentigo_model_version": (
                "The version in use; 0 is none.",
                lambda: 0 if current is None else current.version,
            ),
            "lentigo_model_versions_refused": (
                "Versions in the repository that cannot be brought into use.",
                lambda: self.model_manager.refused,
            ),
            "lentigo_model_repository_readable": (
                "Whether the last look at the model repository succeeded: 1 or 0.",
                lambda: self.model_manager.readable,
            ),
        }
        for name, (text, read) in gauges.items():
            yield GaugeMetricFamily(name, text, value=float(read()))
        info = InfoMetricFamily("lentigo_model", "The version in use.")
        if current is not None:
            manifest = current.stored.manifest
            labels = {
                "name": manifest.name,
                "version": str(manifest.version),
                "architecture": manifest.architecture,
                "engine": current.engine.name,
            }
            info.add_metric([], labels)
        yield info
