"""Time the classical pipeline of one image on one core: hairs, lesion, features.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 .venv/bin/python -m benchmarks.lesion_features

The images are made by code, 600 x 450 pixels as HAM10000's, and are decoded and scaled within the
time. The process keeps to one core.
"""

import argparse
import os
import time
from collections.abc import Callable

import cv2
import numpy as np

from benchmarks.synthetic_lesion import nevus_jpeg
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
    print("Milliseconds for one image, all steps before included: median (90th percentile)")
    for name, work in works.items():
        work(files[0])
        taken = []
        for data in files * arguments.rounds:
            start = time.perf_counter()
            work(data)
            taken.append(1000 * (time.perf_counter() - start))
        median, high = np.quantile(taken, (0.5, 0.9))
        print(f"{name:26} {median:6.1f} ({high:.1f})")


if __name__ == "__main__":
    main()
