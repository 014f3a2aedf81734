"""Time the classical pipeline of one image on one core: hairs, lesion, features.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 .venv/bin/python -m benchmarks.lesion.features

The images are made by code, 600 x 450 pixels as HAM10000's, and are decoded and scaled within the
time. The process keeps to one core. On a machine that does other things, the time of the processor
says more than that of the clock.
"""

import argparse
import os
import time
from collections.abc import Callable

import cv2
import numpy as np

from benchmarks.synthetic.lesion import nevus_jpeg
from lentigo_contract.segmentation import classical
from lentigo_contract.segmentation.hair import remove_hairs
from lentigo_trainer.baselines.features.sets import features_of
from lentigo_trainer.segmentation import neural
from lentigo_trainer.segmentation.images import read_working


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the classical pipeline of one image.")
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
    cv2.setNumThreads(1)
    files = [nevus_jpeg(seed) for seed in range(arguments.images)]
    works: dict[str, Callable[[bytes], object]] = {
        "decode and scale": read_working,
        "remove hairs": lambda data: remove_hairs(read_working(data)),
        "segment, classical": lambda data: classical.segment(read_working(data)),
        "segment, self-generating": lambda data: neural.segment(read_working(data)),
        "features, aswin": lambda data: features_of("aswin", read_working(data)),
        "features, xie": lambda data: features_of("xie", read_working(data)),
    }
    print("Milliseconds for one image, earlier steps included; median (90th percentile)")
    print(f"{'':26} {'by the clock':>18} {'of the processor':>18}")
    for name, work in works.items():
        work(files[0])
        columns = []
        for clock in zip(*(timed(work, data) for data in files * arguments.rounds), strict=True):
            median, high = np.quantile(clock, (0.5, 0.9))
            columns.append(f"{median:9.1f} ({high:6.1f})")
        print(f"{name:26} {' '.join(f'{column:>18}' for column in columns)}")


def timed(work: Callable[[bytes], object], data: bytes) -> tuple[float, float]:
    """Return how long work takes, by the clock and of the processor, in milliseconds."""
    clock, processor = time.perf_counter(), time.process_time()
    work(data)
    return 1000 * (time.perf_counter() - clock), 1000 * (time.process_time() - processor)


if __name__ == "__main__":
    main()
