"""The figures of the version in use as Prometheus gauges, computed when Prometheus asks.

A figure that is not measured has no sample. `docs/reference/metrics.md` explains each.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from lentigo_inference.monitoring.intervals import Estimate
from lentigo_inference.monitoring.monitor import Monitor
from lentigo_inference.serving.model_slot import ModelSlot


@dataclass(frozen=True, slots=True)
class MonitoringGauges(Collector):
    """Reads the monitor for the version in use; without one no series has a sample."""

    slot: ModelSlot
    monitor: Monitor

    def collect(self) -> Iterator[Metric]:
        """Return the gauges; called from a thread other than the event loop's."""
        current = self.slot.current
        agreement = None if current is None else self.monitor.agreement(current)
        seen = None if current is None else self.monitor.input_of(current)
        yield _family(
            "lentigo_confirmed_answers",
            "Answers of the version in use whose diagnosis was confirmed, by how.",
            "confirmed_by",
            {} if agreement is None else agreement.confirmed_by,
        )
        yield from _estimates(
            "lentigo_confirmed_figure",
            "Confirmed against said: figures of the version in use",
            "figure",
            {} if agreement is None else agreement.figures(),
        )
        yield GaugeMetricFamily(
            "lentigo_input_images",
            "Images that the drift of the input is measured on: the latest that were answered.",
            value=0 if seen is None else seen.images,
        )
        features = {} if seen is None else seen.features()
        yield _family(
            "lentigo_input_median",
            "Median over these images.",
            "feature",
            {name: each.median for name, each in features.items()},
        )
        yield _family(
            "lentigo_input_reference_median",
            "Median over the images that the version was measured on.",
            "feature",
            {name: each.reference_median for name, each in features.items()},
        )
        yield from _estimates(
            "lentigo_input_drift",
            "Distance of these images from those that the version was measured on",
            "feature",
            {} if seen is None else seen.drifts(),
        )


def _estimates(
    name: str, text: str, label: str, estimates: Mapping[str, Estimate]
) -> Iterator[GaugeMetricFamily]:
    """Return a gauge for the values, one for each end of their intervals, and one for n."""
    ends: dict[str, tuple[str, Callable[[Estimate], float | None]]] = {
        "": (".", lambda each: each.value),
        "_low": (": lower end of the 95 % interval.", lambda each: each.low),
        "_high": (": upper end of the 95 % interval.", lambda each: each.high),
    }
    for suffix, (end, read) in ends.items():
        values = {key: read(each) for key, each in estimates.items()}
        yield _family(name + suffix, text + end, label, values)
    values = {key: each.n for key, each in estimates.items()}
    yield _family(f"{name}_examples", f"{text}: examples it rests on.", label, values)


def _family(
    name: str, text: str, label: str, values: Mapping[str, float | None]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=[label])
    for key, value in values.items():
        if value is not None:
            family.add_metric([key], value)
    return family
