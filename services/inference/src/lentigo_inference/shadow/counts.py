"""What a shadow version did, as Prometheus metrics that are read when Prometheus asks."""

import threading
from collections import Counter
from collections.abc import Iterator
from typing import Final, Literal

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from lentigo_contract.labels import CODES
from lentigo_inference.audit.records import Said, Served
from lentigo_inference.shadow.comparison import WITHHELD

Outcome = Literal["compared", "dropped", "failed"]
"""What became of an image: `dropped` if there was no room or no version, `failed` if it could not
answer."""

_OUTCOMES: Final[tuple[Outcome, ...]] = ("compared", "dropped", "failed")
_DIFFERENCES: Final = ("diagnosis", "refer")
_CLASSES: Final = (*CODES, WITHHELD)


class ShadowCounts(Collector):
    """Counts images and differences. Safe from any thread."""

    def __init__(self) -> None:
        """Begin at zero, without a version."""
        self._lock = threading.Lock()
        self._images: Counter[str] = Counter()
        self._compared: Counter[str] = Counter()
        self._differences: Counter[tuple[str, str]] = Counter()
        self._version = 0

    def count(self, outcome: Outcome) -> None:
        """Count an image that was not compared."""
        with self._lock:
            self._images[outcome] += 1

    def compare(self, served: Served, said: Said) -> None:
        """Count an image that was compared, by the diagnosis of the version in use."""
        diagnosis = served.diagnosis or WITHHELD
        with self._lock:
            self._images["compared"] += 1
            self._compared[diagnosis] += 1
            self._differences["diagnosis", diagnosis] += served.diagnosis != said.diagnosis
            self._differences["refer", diagnosis] += served.refer != said.refer

    def show(self, version: int) -> None:
        """Show which version answers in the shadow; 0 is none."""
        self._version = version

    def collect(self) -> Iterator[Metric]:
        """Return the metrics; called from any thread."""
        with self._lock:
            images, compared = self._images.copy(), self._compared.copy()
            differences = self._differences.copy()
        yield GaugeMetricFamily(
            "lentigo_shadow_version",
            "The version that answers in the shadow; 0 is none.",
            value=self._version,
        )
        family = CounterMetricFamily(
            "lentigo_shadow_images",
            "Images that were offered to the shadow version, by what became of them.",
            labels=("outcome",),
        )
        for outcome in _OUTCOMES:
            family.add_metric((outcome,), images[outcome])
        yield family
        family = CounterMetricFamily(
            "lentigo_shadow_compared",
            "Images that were compared, by the diagnosis of the version in use.",
            labels=("diagnosis",),
        )
        for diagnosis in _CLASSES:
            family.add_metric((diagnosis,), compared[diagnosis])
        yield family
        family = CounterMetricFamily(
            "lentigo_shadow_differences",
            "Images on which the two versions differ, by the diagnosis of the version in use.",
            labels=("difference", "diagnosis"),
        )
        for difference in _DIFFERENCES:
            for diagnosis in _CLASSES:
                family.add_metric((difference, diagnosis), differences[difference, diagnosis])
        yield family
