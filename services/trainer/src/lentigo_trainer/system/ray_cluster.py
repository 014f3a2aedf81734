"""Independent tasks on a Ray cluster that runs already; nothing of Ray is loaded without `--ray`.

Every node sees the work folder under the same path, on a shared file system, and has the same
release installed; both are checked on every node before a task starts. A task that a lost node had
starts again on another one, and resumes from what it kept in the work folder.
"""

import importlib.metadata
import logging
import os
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from lentigo_contract.system.network import require_listener
from lentigo_trainer import __version__
from lentigo_trainer.errors import ClusterError
from lentigo_trainer.system.child_process import Ended
from lentigo_trainer.system.progress import Progress
from lentigo_trainer.system.storage import write_whole

if TYPE_CHECKING:
    from types import ModuleType

Item = TypeVar("Item")
Result = TypeVar("Result")

_LOST_NODES: Final = 3
"""How often a task is started again after its node was lost."""

_SECONDS_TO_ANSWER: Final = 300

_TOKEN: Final = ".ray-token"  # noqa: S105 - tells one folder from another

_PASSED_ON: Final = "MLFLOW_"
"""Prefix of the variables that tasks get from here. They travel as arguments, which no page of
Ray's shows, because they may hold a password."""

_COMPARED: Final = ("tensorflow", "tensorflow-cpu", "keras", "numpy")


@dataclass(frozen=True, slots=True)
class NodeReport:
    """What a node says about itself.

    Attributes:
        versions: of Python, Lentigo and what computes.
        token: the content of the token file in the work folder; None if the node sees no such file.
        missing: the files and folders that it does not see.
    """

    versions: dict[str, str]
    token: str | None
    missing: tuple[str, ...]


class RayCluster:
    """A cluster whose nodes were checked.

    Args:
        ray: the package.
        cores: processor cores of the smallest node, which a task takes.
    """

    def __init__(self, ray: "ModuleType", cores: int) -> None:
        self._ray = ray
        self.cores = cores

    def run(
        self, function: Callable[[Item], Result], items: Sequence[Item]
    ) -> Iterator[tuple[Item, Result | Ended]]:
        """Call a function for every item, each in a new process on some node.

        Args:
            function: of a module that the nodes can import; it raises nothing.
            items: can be pickled, and so can the results.

        Yields:
            An item and its result, or how its process ended, in the order in which they end.
        """
        environment = {
            name: value for name, value in os.environ.items() if name.startswith(_PASSED_ON)
        }
        remote = self._ray.remote(
            # A process for each task, so that TensorFlow's memory is freed.
            num_cpus=self.cores,
            max_calls=1,
            max_retries=_LOST_NODES,
        )(_call)
        waiting = {remote.remote(function, environment, item): item for item in items}
        while waiting:
            (done,), _ = self._ray.wait(list(waiting), num_returns=1)
            item = waiting.pop(done)
            try:
                result: Result | Ended = self._ray.get(done)
            except self._ray.exceptions.RayError as error:
                result = Ended(f"{self._reason(error)} Run the same command to resume.")
            yield item, result

    def _reason(self, error: Exception) -> str:
        """Say in one line how a task ended; Ray's own messages have up to a hundred."""
        errors = self._ray.exceptions
        if isinstance(error, errors.OutOfMemoryError):
            return "Its node ran out of memory, and Ray ended it."
        if isinstance(error, errors.RayTaskError):
            return _first_line(error)
        return f"Its process or its node was lost ({type(error).__name__})."


@contextmanager
def connected_cluster(
    address: str, work: Path, files: Sequence[Path], progress: Progress
) -> Iterator[RayCluster]:
    """Connect to a cluster for this block, and check every node of it.

    Args:
        address: of its head, such as `10.0.0.1:6379`, or `auto` on one of its nodes.
        work: the work folder, on a file system that all nodes share.
        files: files and folders that the tasks read besides.
        progress: receives how large the cluster is.

    Raises:
        ClusterError: Ray is not installed; the cluster is not there, or has another version of Ray
            or Python; a node has another release of Lentigo or TensorFlow, or does not see the work
            folder.
        StorageError: the work folder is not writable.
    """
    ray = _ray()
    try:
        # Ray tries for minutes.
        require_listener(address)
        ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
    except (OSError, OverflowError, RuntimeError, ValueError) as error:
        raise ClusterError(
            f"The Ray cluster at {address} cannot be used: {_first_line(error)} Start it with `ray "
            "start`, with the Python and the packages that this command runs with, and give the "
            "address that it prints."
        ) from error
    try:
        yield _checked(ray, work, files, progress)
    finally:
        ray.shutdown()


def _call(function: Callable[[Item], Result], environment: Mapping[str, str], item: Item) -> Result:
    os.environ.update(environment)
    return function(item)


def describe_node(token: Path, files: Sequence[Path]) -> NodeReport:
    """Describe the node that this runs on."""
    versions = {"Python": ".".join(map(str, sys.version_info[:3])), "Lentigo": __version__}
    for package in _COMPARED:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    try:
        content: str | None = token.read_text()
    except OSError:
        content = None
    return NodeReport(versions, content, tuple(str(file) for file in files if not file.exists()))


def objection(name: str, node: NodeReport, here: NodeReport) -> str | None:
    """Say why a node cannot take part, or return None.

    Args:
        name: of the node.
        node: what it says.
        here: what the machine says that starts the tasks.
    """
    for package, version in here.versions.items():
        other = node.versions.get(package)
        if other != version:
            return (
                f"The node {name} has {package} {other or '(none)'}, this machine {version}. "
                "Install the same release on every node."
            )
    if node.token != here.token:
        return (
            f"The node {name} does not see the work folder. Put --work on a file system that every "
            "node mounts under the same path."
        )
    if node.missing:
        return (
            f"The node {name} does not see {node.missing[0]}. Put it where every node sees it "
            "under the same path."
        )
    return None


def _checked(
    ray: "ModuleType", work: Path, files: Sequence[Path], progress: Progress
) -> RayCluster:
    token = work.absolute() / _TOKEN
    write_whole(token, secrets.token_hex(16).encode())
    try:
        here = describe_node(token, files)
        nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
        for node, found in zip(nodes, _reports(ray, nodes, token, files), strict=True):
            fault = objection(node["NodeManagerAddress"], found, here)
            if fault:
                raise ClusterError(fault)
    finally:
        token.unlink(missing_ok=True)
    cores = int(min(node["Resources"]["CPU"] for node in nodes)) if nodes else 0
    if not cores:
        raise ClusterError("The Ray cluster has no node with a processor core. Start one.")
    progress.say(f"Ray: nodes {', '.join(node['NodeManagerAddress'] for node in nodes)}")
    return RayCluster(ray, cores)


def _reports(
    ray: "ModuleType", nodes: Sequence[dict[str, Any]], token: Path, files: Sequence[Path]
) -> list[NodeReport]:
    strategies = ray.util.scheduling_strategies
    describe = ray.remote(num_cpus=0, max_retries=0)(describe_node)
    asked = [
        describe.options(
            scheduling_strategy=strategies.NodeAffinitySchedulingStrategy(
                node["NodeID"], soft=False
            )
        ).remote(token, [file.absolute() for file in files])
        for node in nodes
    ]
    try:
        reports: list[NodeReport] = ray.get(asked, timeout=_SECONDS_TO_ANSWER)
    except ray.exceptions.RayError as error:
        raise ClusterError(
            f"A node of the Ray cluster cannot run Lentigo: {_first_line(error)} Install the same "
            "release on every node."
        ) from error
    return reports


def _ray() -> "ModuleType":
    # A task gets its own processes anyway, and what a user does is no other's business.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray  # noqa: PLC0415 - only with --ray
        import ray.util.scheduling_strategies  # noqa: PLC0415
    except ImportError as error:
        raise ClusterError(
            "--ray needs the package ray. Install it with: pip install 'lentigo-trainer[ray]'"
        ) from error
    module: ModuleType = ray
    return module


def _first_line(error: BaseException) -> str:
    """Return the last line of a remote error, which names it, or the first of any other."""
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    line = lines[-1 if "Traceback" in str(error) or "ray::" in str(error) else 0] if lines else ""
    return f"{(line or type(error).__name__).strip().rstrip('.')}."
