"""Compare the weights that several workers train with those that one trains, on real images.

Each training runs in processes of its own on the loopback, by the default recipe without its folds,
in float32. What is printed is the largest difference between two final weights, how the
differences are spread, and the seconds. What rounding alone does is seen from a third training: one
worker again, on a single core, which adds up in another order.

    .venv/bin/python -m benchmarks.several_workers --source ham10000 --weights-dir weights
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from time import monotonic

import numpy as np

from lentigo_contract.system.resources import available_cores
from lentigo_trainer.cli.common.options import prepared_from, weights_from
from lentigo_trainer.config.cluster import read_cluster
from lentigo_trainer.config.recipe_file import default_recipe
from lentigo_trainer.config.training import TrainingConfig, WorkFolder
from lentigo_trainer.data.dataset import open_prepared
from lentigo_trainer.data.splits import choose_rows
from lentigo_trainer.system.native_output import quiet_tensorflow
from lentigo_trainer.system.progress import progress_for

with quiet_tensorflow():
    import tensorflow as tf

    from lentigo_trainer.training.fit import train_network
    from lentigo_trainer.training.precision import make_reproducible
    from lentigo_trainer.training.workers import connected

ROOT = Path(__file__).parents[1]
BOUND = 1e-3


def main() -> None:
    """Train with one worker and with several, and compare."""
    options = arguments()
    if options.result is not None:
        train(options)
        return
    with tempfile.TemporaryDirectory(prefix="lentigo-workers-") as scratch:
        folder = Path(scratch)
        prepare(options)
        alone = run(folder / "alone", 1)
        several = run(folder / "several", options.workers)
        single = run(folder / "single", 1, "--threads", "1")
        print(f"one worker: {alone:.0f} s, on a single core: {single:.0f} s")
        print(f"{options.workers} workers: {several:.0f} s")
        for name, title in (("several", f"{options.workers} workers"), ("single", "single core")):
            print(f"One worker and {title}:")
            compare(folder / "alone" / "0.npz", folder / name / "0.npz")


def compare(one: Path, other: Path) -> None:
    """Print how far two files of weights are apart."""
    with np.load(one) as left, np.load(other) as right:
        apart = [np.abs(left[name] - right[name]).ravel() for name in left.files if name[0] == "w"]
        values = np.concatenate(apart)
        print(f"{values.size:,} weights; largest difference {values.max():.2e}")
        print(f"  {np.mean(values > BOUND):.2%} of them further apart than {BOUND}")
        for share in (50, 99, 99.99):
            print(f"  {share} % of them within {np.percentile(values, share):.2e}")
        losses = left["losses"], right["losses"]
        print(f"losses by epoch: {losses[0].tolist()} and {losses[1].tolist()}")


def prepare(options: argparse.Namespace) -> None:
    """Decode the data set once."""
    prepared_from(options.source, options.work, progress_for())


def run(folder: Path, count: int, *further: str) -> float:
    """Train with some workers and further arguments; return the seconds."""
    folder.mkdir()
    addresses = [f"127.0.0.1:{free_port()}" for _ in range(count)]
    started, began = [], monotonic()
    for number in range(count):
        task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": number}}
        command = [sys.executable, "-m", "benchmarks.several_workers", *sys.argv[1:]]
        command += ["--result", str(folder / f"{number}.npz"), *further]
        environment = {**os.environ, "TF_CONFIG": json.dumps(task), "TF_CPP_MIN_LOG_LEVEL": "3"}
        started.append(subprocess.Popen(command, env=environment, cwd=ROOT))
    try:
        codes = [process.wait() for process in started]
    finally:
        for process in started:
            process.kill()
    if any(codes):
        raise SystemExit(f"A worker failed: exit codes {codes}.")
    return monotonic() - began


def train(options: argparse.Namespace) -> None:
    """Train as one worker, and write the final weights."""
    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    with connected(read_cluster(os.environ)) as workers:
        recipe = default_recipe().model_copy(update={"folds": 0}).for_epochs(options.epochs)
        work = WorkFolder(options.work)
        weights = weights_from(options.weights_dir, random=False)
        config = TrainingConfig(work, recipe, weights, 0, options.limit, available_cores())
        prepared = open_prepared(work.prepared)
        make_reproducible(0)
        rows = choose_rows(config, prepared)
        with tempfile.TemporaryDirectory(dir=options.work) as folder:
            trained = train_network(config, prepared, rows, Path(folder), progress_for(), workers)
        losses = np.array([epoch.loss for epoch in trained.history])
        final = {f"w{n}": each for n, each in enumerate(trained.network.whole.get_weights())}
        np.savez(options.result, losses=losses, **final)
        if workers.chief:
            print(f"{len(rows.used.train)} training images, {options.epochs} epochs, float32")


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, required=True, help="folder with HAM10000")
    parser.add_argument("--weights-dir", type=Path, help="ImageNet weights")
    parser.add_argument("--work", type=Path, default=Path("work"))
    parser.add_argument("--limit", type=int, default=330, help="images, 300 of which train")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--threads", type=int, default=0, help="of TensorFlow; 0 for its own")
    parser.add_argument("--result", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
