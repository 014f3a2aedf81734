"""Which workers train one network together, from TensorFlow's own variable `TF_CONFIG`.

Every worker is started with the same command and the same list of addresses; only its own place in
the list differs. TensorFlow describes the variable at
https://www.tensorflow.org/guide/distributed_training#TF_CONFIG.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lentigo_trainer.errors import ClusterError

VARIABLE: Final = "TF_CONFIG"

_EXAMPLE: Final = (
    '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'
)

_Address = Annotated[str, Field(pattern=r"^[^\s:/]+:\d{1,5}$")]


@dataclass(frozen=True, slots=True)
class ClusterTask:
    """This process's place among the workers of one training.

    Attributes:
        addresses: host and port of every worker; the first is the chief, which writes all results.
        number: of this worker, from 0.
    """

    addresses: tuple[str, ...]
    number: int


class _Strict(BaseModel):
    # Others may write keys of their own, such as Kubeflow's "environment".
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Task(_Strict):
    type: Literal["chief", "worker"]
    index: Annotated[int, Field(ge=0)]


class _Cluster(BaseModel):
    # Lentigo has no parameter servers, and evaluates on the chief.
    model_config = ConfigDict(frozen=True, extra="forbid")

    chief: Annotated[tuple[_Address, ...], Field(max_length=1)] = ()
    worker: tuple[_Address, ...] = ()


class _Variable(_Strict):
    cluster: _Cluster
    task: _Task


def read_cluster(environment: Mapping[str, str]) -> ClusterTask | None:
    """Read `TF_CONFIG`.

    Args:
        environment: the process's.

    Returns:
        The place of this process; None if it trains alone.

    Raises:
        ClusterError: the variable is not JSON, or does not say which worker this is.
    """
    text = environment.get(VARIABLE, "").strip()
    if not text:
        return None
    try:
        found = _Variable.model_validate_json(text)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"]))
        raise ClusterError(
            f"{VARIABLE} cannot be used: {where}{': ' if where else ''}{fault['msg'].lower()}. It "
            f"looks like {_EXAMPLE}"
        ) from error
    addresses = (*found.cluster.chief, *found.cluster.worker)
    group = found.cluster.chief if found.task.type == "chief" else found.cluster.worker
    if found.task.index >= len(group):
        raise ClusterError(
            f"{VARIABLE} says that this is {found.task.type} {found.task.index}, but lists "
            f"{len(group)} of that type, which count from 0. It looks like {_EXAMPLE}"
        )
    if len(set(addresses)) < len(addresses):
        raise ClusterError(f"{VARIABLE} lists an address twice: {', '.join(addresses)}.")
    first = len(found.cluster.chief) if found.task.type == "worker" else 0
    return ClusterTask(addresses, first + found.task.index) if len(addresses) > 1 else None
