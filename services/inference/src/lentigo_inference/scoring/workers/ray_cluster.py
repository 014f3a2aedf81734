"""Workers that are actors of a Ray cluster, one for each core.

Ray is asked for little: where an actor runs, its calls, and word of its end. An actor that ends is
not restarted, because its node may be gone; its tasks are handed to others, and cores that become
free or join get an actor within seconds.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from lentigo_contract.errors import ImageTooLargeError
from lentigo_contract.system.network import require_listener
from lentigo_contract.wording import first_line, pluralize
from lentigo_inference.errors import ClusterError, FetchError, MissingExtraError
from lentigo_inference.scoring.fetching import Fetcher
from lentigo_inference.scoring.items import Content, Item, LocalFile, Place, Task, Unusable
from lentigo_inference.scoring.prepare import Prepared, software, version_files
from lentigo_inference.scoring.workers.base import TASKS_A_WORKER, Lost, Outcome, Scored
from lentigo_inference.scoring.workers.ray_actor import ScoringActor

ACTOR_MEMORY: Final = 512 * 2**20
"""Bytes that an actor reserves: interpreter, model and a large image that is being decoded."""

_RECRUIT_EVERY_S: Final = 5.0
# Loading takes a second or two, and a minute on a machine that is busy.
_NOBODY_S: Final = 300.0


@dataclass(slots=True, eq=False)
class _Actor:
    handle: Any
    ready: bool = False
    tasks: int = 0


class ClusterWorkers:
    """See `Workers`. Images on this machine are read here; URLs are read where they are scored."""

    def __init__(self, address: str, prepared: Prepared, count: int | None = None) -> None:
        """Connect, and wait until the first actor has loaded the model.

        Args:
            address: of the cluster, HOST:PORT or `auto`.
            prepared: the model, which goes to the nodes from here.
            count: actors, at most; by default one for each core of the cluster.

        Raises:
            MissingExtraError: Ray is not installed.
            ClusterError: there is no cluster, it has other versions, or no core with enough memory.
        """
        self._ray = _connect(address)
        self._prepared = prepared
        self._most = count
        self._fetcher = Fetcher(prepared.limits.image.max_bytes, prepared.limits.timeout_s)
        self._actors: list[_Actor] = []
        self._starting: dict[Any, _Actor] = {}
        self._calls: dict[Any, tuple[_Actor, Task]] = {}
        self._recruited = -_RECRUIT_EVERY_S
        self._somebody = time.monotonic()
        try:
            self._files = self._ray.put(version_files(prepared))
            while not any(actor.ready for actor in self._actors):
                self.wait(1.0)
        except BaseException:
            self.close()
            raise

    @property
    def size(self) -> int:
        """See `Workers`."""
        return len(self._actors)

    @property
    def room(self) -> int:
        """See `Workers`."""
        return sum(TASKS_A_WORKER - actor.tasks for actor in self._actors if actor.ready)

    def submit(self, task: Task) -> None:
        """See `Workers`."""
        actor = min((each for each in self._actors if each.ready), key=lambda each: each.tasks)
        call = actor.handle.score.remote(replace(task, items=tuple(map(self._read, task.items))))
        actor.tasks += 1
        self._calls[call] = (actor, task)

    def wait(self, timeout_s: float) -> Sequence[Outcome]:
        """See `Workers`."""
        try:
            return self._wait(timeout_s)
        except (self._ray.exceptions.RayError, RuntimeError, ConnectionError) as error:
            raise ClusterError(
                f"The Ray cluster has failed ({first_line(error)}). Start it again; the same "
                "command then goes on."
            ) from error

    def _wait(self, timeout_s: float) -> Sequence[Outcome]:
        self._recruit()
        calls = [*self._starting, *self._calls]
        if not calls:
            time.sleep(timeout_s)
            return []
        done, _ = self._ray.wait(calls, num_returns=1, timeout=timeout_s)
        if done:
            # Whatever else is there already costs nothing more.
            done, _ = self._ray.wait(calls, num_returns=len(calls), timeout=0)
        return [outcome for call in done for outcome in self._settle(call)]

    def close(self) -> None:
        """See `Workers`."""
        self._ray.shutdown()

    def _settle(self, call: Any) -> list[Outcome]:  # noqa: ANN401 - Ray's references
        if call in self._starting:
            self._start(call)
            return []
        actor, task = self._calls.pop(call)
        actor.tasks -= 1
        try:
            return [Scored(task, self._ray.get(call))]
        except self._ray.exceptions.RayTaskError:
            # The actor lives; its process has failed on something in this task.
            return [Lost(task)]
        except self._ray.exceptions.RayError:
            self._dismiss(actor)
            return [Lost(task)]

    def _start(self, call: Any) -> None:  # noqa: ANN401 - Ray's references
        actor = self._starting.pop(call)
        try:
            theirs = self._ray.get(call)
        except self._ray.exceptions.RayError as error:
            self._dismiss(actor)
            _raise_if_hopeless(error)
            return
        ours = software()
        if theirs != ours:
            raise ClusterError(
                f"The cluster has other versions than this machine: {_differing(theirs, ours)}. "
                "Install the same on all nodes."
            )
        actor.ready = True

    def _dismiss(self, actor: _Actor) -> None:
        if actor in self._actors:
            self._actors.remove(actor)

    def _recruit(self) -> None:
        """Start an actor on each free core, now and then."""
        now = time.monotonic()
        if any(actor.ready for actor in self._actors):
            self._somebody = now
        if now - self._recruited < _RECRUIT_EVERY_S:
            return
        self._recruited = now
        free = self._ray.available_resources()
        cores, memory = int(free.get("CPU", 0)), free.get("memory", 0.0)
        places = min(cores, int(memory // ACTOR_MEMORY))
        if self._most is not None:
            places = min(places, self._most - len(self._actors))
        # Those that wait for a place have none yet.
        places -= len(self._starting)
        for _ in range(places):
            self._hire()
        if now - self._somebody > _NOBODY_S or (not self._actors and self._never_fits()):
            raise ClusterError(
                f"No node of the cluster has a free core and {ACTOR_MEMORY / 2**20:,.0f} MiB of "
                f"memory (free: {pluralize(cores, 'core')}, {memory / 2**20:,.0f} MiB). Add a "
                "node, or start Ray with more --memory."
            )

    def _never_fits(self) -> bool:
        """Whether no node could have an actor even if nothing else ran on it."""
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        return not any(
            node.get("CPU", 0) >= 1 and node.get("memory", 0) >= ACTOR_MEMORY for node in nodes
        )

    def _hire(self) -> None:
        options = {
            "num_cpus": 1,
            "memory": ACTOR_MEMORY,
            "max_concurrency": TASKS_A_WORKER,
            "max_restarts": 0,
            "max_task_retries": 0,
        }
        make = self._ray.remote(**options)(ScoringActor)
        handle = make.remote(self._files, self._prepared.model, self._prepared.limits)
        actor = _Actor(handle)
        self._actors.append(actor)
        self._starting[handle.software.remote()] = actor

    def _read(self, item: Item) -> Item:
        if not isinstance(item.place, LocalFile):
            return item
        place: Place
        try:
            place = Content(self._fetcher.fetch(item.place))
        except ImageTooLargeError:
            # The worker finds that out again, from one byte too many.
            place = Content(bytes(self._prepared.limits.image.max_bytes + 1))
        except FetchError as error:
            place = Unusable(error)
        return replace(item, place=place)


def _connect(address: str) -> Any:  # noqa: ANN401 - Ray is a module
    try:
        import ray  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingExtraError(
            "--ray needs Ray. Install lentigo-inference[ray], the same version as the cluster's."
        ) from error
    away = f"There is no Ray cluster at {address}. Start one with `ray start --head`."
    try:
        require_listener(address)
    except (OSError, OverflowError) as error:
        raise ClusterError(away) from error
    try:
        ray.init(
            address=address, log_to_driver=False, logging_level="ERROR", include_dashboard=None
        )
    except ConnectionError as error:
        raise ClusterError(away) from error
    except (RuntimeError, ValueError, OSError) as error:
        told = str(error)
        if "ersion mismatch" in told:
            raise ClusterError(
                f"The cluster at {address} has another version of Ray or Python than this machine "
                f"(Ray {ray.__version__}, Python {sys.version.split()[0]}). Use the same."
            ) from error
        raise ClusterError(
            f"The Ray cluster at {address} cannot be used: {first_line(error)}"
        ) from error
    return ray


def _raise_if_hopeless(error: Exception) -> None:
    """Raise what would happen to every other actor too."""
    told = str(error)
    if "ModuleNotFoundError" in told or "failed to be imported" in told:
        raise ClusterError(
            "lentigo-inference cannot be imported on a node of the cluster. Install it there, in "
            "the version of this machine."
        ) from error
    if "creation task" in told:
        lines = [line.strip() for line in told.splitlines() if line.strip()]
        raise ClusterError(f"An actor cannot load the model: {lines[-1]}") from error


def _differing(theirs: dict[str, str], ours: dict[str, str]) -> str:
    return ", ".join(
        f"{name} {theirs.get(name, 'is missing')} there and {ours.get(name, 'missing')} here"
        for name in sorted({*theirs, *ours})
        if theirs.get(name) != ours.get(name)
    )
