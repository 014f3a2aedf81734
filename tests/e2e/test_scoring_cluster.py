"""`lentigo-inference score --ray` on nodes that are processes of this machine."""

import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq
import pytest

from benchmarks.scoring.cluster import Cluster, cluster
from tests.e2e.service_process import COMMAND, environment
from tests.fakes import jpeg_bytes, lesion_image
from tests.ray_alone import ray_alone

pytest.importorskip("ray", reason="Ray is not installed: install lentigo-inference[ray]")

pytestmark = pytest.mark.timeout(900)

SHIPPED: Final = Path(__file__).parents[2] / "models"
DEADLINE_S: Final = 600.0
IMAGES: Final = 120
PART: Final = 20


@pytest.fixture(scope="module", autouse=True)
def _alone() -> Iterator[None]:
    with ray_alone():
        yield


@pytest.fixture
def folder() -> Iterator[Path]:
    # Ray's sockets lie in it, and the path of one may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="lr-") as path:
        yield Path(path)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for number in range(IMAGES):
        image = lesion_image(number % 6, size=(200, 160))
        (tmp_path / f"{number:03}.jpg").write_bytes(jpeg_bytes(image))
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 and no more")
    return tmp_path


def score(source: Path, to: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, "score", str(source), "--to", str(to), "--part-size", str(PART), *options],
        env=environment(SHIPPED, LENTIGO_ENGINE="litert"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def rows_of(to: Path) -> list[dict[str, Any]]:
    parts = sorted((to / "rows").glob("part-*.parquet"))
    return [row for part in parts for row in pq.read_table(part).to_pylist()]


def kill_second_node(running: Cluster, to: Path, process: subprocess.Popen[str]) -> int:
    """Wait until two parts are there, and end a node."""
    while not (to / "rows/part-00001.parquet").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    return running.kill(2)


def test_a_lost_node_changes_no_row(folder: Path, source: Path) -> None:
    alone = score(source, folder / "alone")
    with cluster(folder / "ray", nodes=2) as running:
        process = score(source, folder / "out", "--ray", running.address)
        assert kill_second_node(running, folder / "out", process) >= 1
        _, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, err
    _, err = alone.communicate(timeout=DEADLINE_S)
    assert alone.returncode == 0, err
    rows = rows_of(folder / "out")
    assert [row["item"] for row in rows] == list(range(IMAGES + 1))
    assert rows == rows_of(folder / "alone")


def test_a_cluster_with_too_little_memory_is_one_line(folder: Path, source: Path) -> None:
    with cluster(folder / "ray", nodes=1, memory=100 * 2**20) as running:
        process = score(source, folder / "out", "--ray", running.address)
        _, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 1
    assert "No node of the cluster has a free core and 512 MiB" in err.splitlines()[-1]
    assert "Traceback" not in err
