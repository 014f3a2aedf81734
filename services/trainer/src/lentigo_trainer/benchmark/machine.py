"""The machine that a benchmark runs on, as far as it tells."""

import os
import platform
import resource
import sys
from importlib.metadata import version

import tensorflow as tf

from lentigo_trainer.benchmark.records import Machine
from lentigo_trainer.training.precision import cpu_info, name_of


def this_machine(cores: int) -> Machine:
    """Describe the machine; it names no host and no user."""
    return Machine(
        processor=name_of(cpu_info()) or platform.processor() or platform.machine(),
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
