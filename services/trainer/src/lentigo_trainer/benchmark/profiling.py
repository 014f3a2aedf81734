"""How long an exported model takes for one picture, alone.

The machine that a benchmark runs on, as far as it tells.
"""

import os
import platform
import resource
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Final

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from lentigo_contract.imaging.read import MODEL_SIDE
from lentigo_trainer.benchmark.records import Latency, Machine
from lentigo_trainer.export.saved_model import SIGNATURE
from lentigo_trainer.system.native_output import held_back
from lentigo_trainer.training.precision import cpu_info, processor_name


def this_machine(cores: int) -> Machine:
    """Describe the machine; it names no host and no user."""
    return Machine(
        processor=processor_name(cpu_info()) or platform.processor() or platform.machine(),
        cores=cores,
        system=f"{platform.system()} {platform.machine()}",
        tensorflow=tf.__version__,
        litert=version("ai-edge-litert"),
    )


def load() -> float | None:
    """Processes that wanted a core, by the system's mean over one minute."""
    try:
        return round(os.getloadavg()[0], 2)
    except OSError:
        return None


def peak_memory_bytes() -> int:
    """Most memory that this process had resident so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


RUNS: Final = 50
WARM_UPS: Final = 5


def saved_model_latency(folder: Path) -> Latency:
    """Time a SavedModel, activation map included, as a service runs it."""
    serve = tf.saved_model.load(str(folder)).signatures[SIGNATURE]
    picture = tf.constant(_picture())

    def once() -> None:
        serve(image=picture)["probabilities"].numpy()

    return timed(once)


def litert_latency(model: bytes, threads: int) -> Latency:
    """Time a LiteRT model, activation map included, as a service runs it."""
    with held_back():
        interpreter = Interpreter(model_content=model, num_threads=threads)
        run = interpreter.get_signature_runner(SIGNATURE)
    picture = _picture()
    return timed(lambda: run(image=picture))


def timed(
    work: Callable[[], object], runs: int = RUNS, clock: Callable[[], float] = perf_counter
) -> Latency:
    """Time some work, after a few runs that warm it up.

    Args:
        work: what one picture takes.
        runs: how many to time.
        clock: seconds, monotonic.
    """
    for _ in range(WARM_UPS):
        work()
    seconds = []
    for _ in range(runs):
        started = clock()
        work()
        seconds.append(clock() - started)
    median, high = np.quantile(seconds, (0.5, 0.95))
    return Latency(median_ms=1000 * median, p95_ms=1000 * high, runs=runs, load=load())


def _picture() -> NDArray[np.uint8]:
    draw = np.random.default_rng(0)
    return draw.integers(0, 256, (1, MODEL_SIDE, MODEL_SIDE, 3), np.uint8)
