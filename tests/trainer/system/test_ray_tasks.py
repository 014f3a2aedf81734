import gc
import os
import signal
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.scoring.cluster import cluster as started_cluster
from lentigo_trainer.errors import ClusterError
from lentigo_trainer.system.child_process import Ended
from lentigo_trainer.system.progress import LineProgress, SilentProgress
from lentigo_trainer.system.ray_cluster import RayCluster, connected_cluster
from tests.ray_alone import ray_alone

pytest.importorskip("ray", reason="the extra ray is not installed")

# Ray leaves sockets and processes to the interpreter's end, and warns of its own future.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(600)]

SAID: list[str] = []


def echo(word: str) -> tuple[str, int]:
    return word, os.getpid()


def die_once(marker: Path) -> str:
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"


def die(_item: int) -> str:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def see_variable(name: str) -> str | None:
    return os.environ.get(name)


@pytest.fixture(scope="module", autouse=True)
def _alone() -> Iterator[None]:
    with ray_alone():
        yield
    # Ray leaves open files and processes to the collector; they are no fault of the next test's.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(scope="module")
def cluster(_alone: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayCluster]:
    work = tmp_path_factory.mktemp("work")
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[3])
    # Ray's sockets lie in the folder, and the path of one may have 107 bytes.
    with (
        tempfile.TemporaryDirectory(prefix="lr-") as folder,
        started_cluster(Path(folder) / "ray", nodes=1) as nodes,
        connected_cluster(nodes.address, work, [work], LineProgress(SAID.append)) as found,
    ):
        yield found
    del os.environ["PYTHONPATH"]


def test_the_nodes_are_checked_and_named(cluster: RayCluster) -> None:
    assert cluster.cores >= 1
    assert any(line.startswith("Ray: nodes ") for line in SAID)


def test_every_item_has_a_result_of_a_process_of_its_own(cluster: RayCluster) -> None:
    results = dict(cluster.run(echo, ["a", "b"]))
    processes = {os.getpid()}
    for word, result in results.items():
        assert isinstance(result, tuple)
        assert result[0] == word
        processes.add(result[1])
    assert len(processes) == 3


def test_a_task_whose_process_was_lost_is_started_again(
    cluster: RayCluster, tmp_path: Path
) -> None:
    marker = tmp_path / "died"
    assert list(cluster.run(die_once, [marker])) == [(marker, "done")]


def test_a_task_that_is_lost_again_and_again_ends_with_a_reason(cluster: RayCluster) -> None:
    ((_, ended),) = cluster.run(die, [1])
    assert isinstance(ended, Ended)
    assert "\n" not in ended.reason
    assert ended.reason.endswith("Run the same command to resume.")


def test_tasks_get_the_variables_of_mlflow_and_no_others(
    cluster: RayCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "ours")
    monkeypatch.setenv("LENTIGO_SECRET", "no")
    found = dict(cluster.run(see_variable, ["MLFLOW_EXPERIMENT_NAME", "LENTIGO_SECRET"]))
    assert found == {"MLFLOW_EXPERIMENT_NAME": "ours", "LENTIGO_SECRET": None}


def test_a_cluster_that_is_not_there_is_one_line(cluster: RayCluster, tmp_path: Path) -> None:
    del cluster
    import ray

    ray.shutdown()
    with (
        pytest.raises(ClusterError, match=r"cluster at 127\.0\.0\.1:9 cannot be used") as caught,
        connected_cluster("127.0.0.1:9", tmp_path, [], SilentProgress()),
    ):
        pass
    assert "\n" not in str(caught.value)
