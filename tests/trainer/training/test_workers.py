import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lentigo_trainer.config.cluster import ClusterTask
from lentigo_trainer.errors import ClusterError
from lentigo_trainer.training.workers import ALONE, Workers
from tests.ports import free_port
from tests.trainer.training.a_task import train
from tests.trainer.training.a_worker import DIED

ROOT = Path(__file__).parents[3]

# Every process loads TensorFlow, which takes a minute on a machine that has more to do.
WAIT = 800


@dataclass(frozen=True)
class Ended:
    code: int
    said: str
    weights: tuple[NDArray[np.float32], ...]
    metrics: tuple[float, ...]


def run(kind: str, folder: Path, count: int, dies: int = -1) -> list[Ended]:
    """Train with some workers; one may die after the first epoch. Only the chief has a file."""
    addresses = [f"127.0.0.1:{free_port()}" for _ in range(count)]
    started = []
    for number in range(count):
        task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": number}}
        checkpoint = folder / ("chief.npz" if number == 0 else f"none_{number}.npz")
        result = folder / f"result_{number}.npz"
        result.unlink(missing_ok=True)
        words = [kind, checkpoint, result, 1 if number == dies else -1]
        environment = {**os.environ, "TF_CONFIG": json.dumps(task), "TF_CPP_MIN_LOG_LEVEL": "3"}
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "tests.trainer.training.a_worker", *map(str, words)],
                env=environment,
                cwd=ROOT,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    ended = []
    try:
        for number, process in enumerate(started):
            _, said = process.communicate(timeout=WAIT)
            weights: tuple[NDArray[np.float32], ...] = ()
            metrics: tuple[float, ...] = ()
            if process.returncode == 0:
                with np.load(folder / f"result_{number}.npz") as kept:
                    weights = tuple(kept[name] for name in kept.files if name != "metrics")
                    metrics = tuple(kept["metrics"].tolist())
            ended.append(Ended(process.returncode, said, weights, metrics))
    finally:
        for process in started:
            process.kill()
            process.wait()
    return ended


def require_equal(ended: Ended, kind: str, folder: Path) -> None:
    """Check that workers ended where one alone does, but for rounding."""
    weights, metrics = train(kind, folder / "alone.npz", ALONE, lambda _: None)
    assert len(weights) == len(ended.weights)
    for mine, theirs in zip(weights, ended.weights, strict=True):
        assert np.max(np.abs(mine - theirs), initial=0) < 1e-4
    assert ended.metrics == pytest.approx(metrics, abs=1e-4)


@pytest.mark.timeout(1000)
def test_two_workers_train_a_head_as_one_does(tmp_path: Path) -> None:
    chief, other = run("head", tmp_path, 2)
    assert (chief.code, other.code) == (0, 0), chief.said + other.said
    assert all(map(np.array_equal, chief.weights, other.weights))
    assert not (tmp_path / "none_1.npz").exists()
    require_equal(chief, "head", tmp_path)


@pytest.mark.timeout(2400)
def test_a_lost_worker_ends_the_run_and_fewer_resume_it(tmp_path: Path) -> None:
    *left, lost = run("fine_tuning", tmp_path, 3, dies=2)
    assert lost.code == DIED
    for ended in left:
        assert ended.code == 1
        assert ended.said.count("\n") == 1
        assert "LostWorkerError: Another worker of this training has ended" in ended.said
        assert "same command again" in ended.said
    chief, other = run("fine_tuning", tmp_path, 2)
    assert (chief.code, other.code) == (0, 0), chief.said + other.said
    assert all(map(np.array_equal, chief.weights, other.weights))
    require_equal(chief, "fine_tuning", tmp_path)


def two(number: int) -> Workers:
    return Workers(ClusterTask(("a:1", "b:2"), number))


@pytest.mark.parametrize("size", [4, 7, 10, 32])
def test_every_place_of_a_batch_has_one_worker_and_stays_with_its_partner(size: int) -> None:
    parts = [two(number).places_in_batch(size) for number in (0, 1)]
    assert sorted(np.concatenate(parts).tolist()) == list(range(size))
    for part in parts:
        assert np.array_equal(part[::-1], size - 1 - part)


def test_a_batch_too_small_for_the_workers_is_refused() -> None:
    with pytest.raises(ClusterError, match=r"2 workers cannot share a batch of 2.*batch_size"):
        two(0).places_in_batch(2)


def test_every_row_has_one_worker() -> None:
    rows = np.arange(11)
    parts = [two(number).own(rows) for number in (0, 1)]
    assert sorted(np.concatenate(parts).tolist()) == rows.tolist()
    assert np.array_equal(ALONE.own(rows), rows)


def test_alone_nothing_is_exchanged() -> None:
    assert ALONE.chief
    assert ALONE.from_chief(b"as it is") == b"as it is"
    assert ALONE.agree(finished=True)
    assert not ALONE.agree(finished=False)
    ALONE.require_same({"seed": 0})
