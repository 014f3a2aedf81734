"""Latency of an exported model, memory, and the machine that a benchmark runs on."""

import os
import platform
import resource
import sys
from collections.abc import Callable
from contextlib import closing
from functools import partial
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from lentigo_contract.imaging.read import MODEL_SIDE
from lentigo_engines.litert import LiteRTEngine
from lentigo_engines.savedmodel import SavedModelEngine
from lentigo_trainer.benchmark.records import Latency, Machine
from lentigo_trainer.system.native_output import held_back
from lentigo_trainer.training.precision import cpu_info, processor_name


def this_machine(cores: int) -> Machine:
    """Describe the machine, without the names of host and user."""
    return Machine(
        processor=processor_name(cpu_info()) or platform.processor() or platform.machine(),
        cores=cores,
        system=f"{platform.system()} {platform.machine()}",
        tensorflow=tf.__version__,
        litert=version("ai-edge-litert"),
    )


def load() -> float | None:
    """Return the system's load average over one minute; None if it has none."""
    try:
        return round(os.getloadavg()[0], 2)
    except OSError:
        return None


def peak_memory_bytes() -> int:
    """Return the largest resident memory of this process so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


RUNS: Final = 50
WARM_UPS: Final = 5


def saved_model_latency(folder: Path) -> Latency:
    """Measure a SavedModel on one image, activation map included, as the service runs it."""
    with closing(SavedModelEngine(folder)) as engine:
        return measure_latency(partial(engine.predict, _noise_image()))


def litert_latency(model: bytes, threads: int) -> Latency:
    """Measure a LiteRT model on one image, activation map included, as the service runs it."""
    with held_back():
        engine = LiteRTEngine("litert", model, threads)
    with closing(engine):
        return measure_latency(partial(engine.predict, _noise_image()))


def measure_latency(
    predict: Callable[[], object], runs: int = RUNS, clock: Callable[[], float] = perf_counter
) -> Latency:
    """Measure the duration of a function, after a few runs that warm it up.

    Args:
        predict: runs one image.
        runs: how many runs to measure.
        clock: returns seconds, monotonic.
    """
    for _ in range(WARM_UPS):
        predict()
    seconds = []
    for _ in range(runs):
        started = clock()
        predict()
        seconds.append(clock() - started)
    median, high = np.quantile(seconds, (0.5, 0.95))
    return Latency(median_ms=1000 * median, p95_ms=1000 * high, runs=runs, load=load())


def _noise_image() -> NDArray[np.uint8]:
    generator = np.random.default_rng(0)
    return generator.integers(0, 256, (1, MODEL_SIDE, MODEL_SIDE, 3), np.uint8)
