"""What a version on trial in the shadow costs those that are answered."""

import shutil
import statistics
from typing import TYPE_CHECKING, Final

import numpy as np

from lentigo_contract.manifest.manifest import Manifest
from lentigo_contract.repository.layout import MANIFEST_NAME
from load.results import BenchmarkResult, at_most, summary
from load.servers import ours, running

if TYPE_CHECKING:
    from load.generator import Outcome
    from serving import Bench

TURNS: Final = 8


def beside_shadow(bench: "Bench", peak: float) -> BenchmarkResult:
    """Compare the latency at half of the peak with and without a version on trial.

    It is the same network under the next number. Two services run; each gets the load in turn, for
    a few seconds and many times. The median of the ratios of neighbouring turns is the figure, so
    that a moment in which the machine does something else decides nothing.
    """
    served = int(bench.version.name)
    other = bench.version.with_name(str(served + 1))
    shutil.copytree(bench.version, other)
    manifest = Manifest.read(other / MANIFEST_NAME)
    (other / MANIFEST_NAME).write_text(
        manifest.model_copy(update={"version": served + 1}).to_json()
    )
    pinned = {"LENTIGO_MODEL_VERSION": str(served)}
    on_trial = {**pinned, "LENTIGO_SHADOW_VERSION": other.name}
    rate = max(1, round(peak / 2))
    ratios: list[float] = []
    with (
        running(ours("litert", **pinned), bench.folder) as without,
        running(ours("litert", **on_trial), bench.folder) as beside,
    ):
        beside.until_metric(f"lentigo_shadow_version {served + 1}.0")
        for server in (without, beside):
            bench.load(server, "--concurrency", 8, "--seconds", 2)
        for _ in range(TURNS):
            calm, shadowed = (
                bench.load(server, "--rate", rate, "--seconds", bench.seconds / 2)
                for server in (without, beside)
            )
            ratios.append(_p99(shadowed) / _p99(calm))
            print(f"without a shadow version: {summary(calm)}")
            print(f"with one, p99 {ratios[-1]:.2f} times as long: {summary(shadowed)}", flush=True)
        print(*beside.metrics("lentigo_shadow_images_total"), sep="\n", flush=True)
    ratio = statistics.median(ratios)
    return at_most("p99 with a shadow version / without, half of peak", ratio, 1.3)


def _p99(outcome: "Outcome") -> float:
    return float(np.percentile(outcome.good, 99))
