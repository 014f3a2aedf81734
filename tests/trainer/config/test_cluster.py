import json

import pytest

from lentigo_trainer.config.cluster import ClusterTask, read_cluster
from lentigo_trainer.errors import ClusterError


def config(cluster: object, kind: str = "worker", index: int = 0) -> dict[str, str]:
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})}


TWO = {"worker": ["a:2222", "b:2222"]}


@pytest.mark.parametrize(
    "environment",
    [{}, {"TF_CONFIG": ""}, config({"worker": ["a:1"]}), config({"chief": ["a:1"]}, "chief")],
)
def test_without_another_worker_a_process_trains_alone(environment: dict[str, str]) -> None:
    assert read_cluster(environment) is None


def test_a_worker_knows_its_place() -> None:
    assert read_cluster(config(TWO, index=1)) == ClusterTask(("a:2222", "b:2222"), 1)


def test_a_chief_comes_before_the_workers() -> None:
    cluster = {"chief": ["c:1"], **TWO}
    addresses = ("c:1", "a:2222", "b:2222")
    assert read_cluster(config(cluster, "chief")) == ClusterTask(addresses, 0)
    assert read_cluster(config(cluster, index=1)) == ClusterTask(addresses, 2)


def test_what_others_write_beside_it_is_ignored() -> None:
    text = {"cluster": TWO, "task": {"type": "worker", "index": 0}, "environment": "cloud"}
    assert read_cluster({"TF_CONFIG": json.dumps(text)}) is not None


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"TF_CONFIG": "{"}, "TF_CONFIG cannot be used: invalid json"),
        ({"TF_CONFIG": "{}"}, "cluster: field required"),
        (config({"ps": ["a:1"]}), "cluster.ps: extra inputs"),
        (config(TWO, "evaluator"), "task.type: input should be 'chief' or 'worker'"),
        (config(TWO, index=2), "says that this is worker 2, but lists 2 of that type"),
        (config(TWO, "chief"), "says that this is chief 0, but lists 0 of that type"),
        (config({"worker": ["a", "b:1"]}), "cluster.worker.0: string should match"),
        (config({"worker": ["a:1", "a:1"]}), "lists an address twice: a:1, a:1"),
    ],
)
def test_a_variable_that_cannot_be_used_is_refused_in_one_line(
    environment: dict[str, str], said: str
) -> None:
    with pytest.raises(ClusterError) as caught:
        read_cluster(environment)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
