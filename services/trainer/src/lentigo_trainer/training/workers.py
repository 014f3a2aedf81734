"""Those who train one network together, by TensorFlow's MultiWorkerMirroredStrategy.

Every worker draws the same batches and takes its part of each. Gradients, the statistics of batch
normalisation and the loss are reduced over all workers, so every worker makes the same step, and
the result is that of one worker but for rounding. The first worker, the chief, writes what is kept;
it tells the others what it found there, so they need not see its work folder, and a training goes
on with fewer or more workers.

Variables are each worker's own: the strategy is used for its collective operations alone, because
Keras' `fit` does not work under it (https://github.com/keras-team/keras/issues/20585).
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tensorflow.compiler.xla.tsl.protobuf.coordination_config_pb2 import CoordinatedJob
from tensorflow.python.eager import context

from lentigo_contract.wording import first_line
from lentigo_trainer.config.cluster import ClusterTask
from lentigo_trainer.errors import ClusterError, LostWorkerError
from lentigo_trainer.models.whole_batch import BatchPart, part_of_batch

Gradients = tuple[list[tf.Tensor], tf.Tensor, tf.Tensor]
"""The gradients of a loss, the loss, and the accuracy: a worker's share of each, or the whole."""

GradientsOf = Callable[[tf.Tensor, tf.Tensor, tf.Tensor | float], Gradients]
"""From inputs, targets and a share: the mean loss over these rows times the share, its gradients,
and the accuracy times the share.

The share belongs into the loss and not behind the gradients, because what comes back through the
statistics of batch normalisation is the sum over all workers."""

Number = TypeVar("Number", np.float32, np.int32)

_SUM: Final = tf.distribute.ReduceOp.SUM

_SILENCE_MS: Final = 300_000

_LOST: Final = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)


class Workers:
    """The workers of one training, as one of them sees them.

    Args:
        task: this worker's place; None if there is no other.
        strategy: connects them; None if there is no other.

    Attributes:
        number: of this worker, from 0.
        count: of all workers.
        chief: whether this worker writes what is kept.
    """

    def __init__(
        self, task: ClusterTask | None = None, strategy: tf.distribute.Strategy | None = None
    ) -> None:
        self.number = task.number if task else 0
        self.count = len(task.addresses) if task else 1
        self.chief = self.number == 0
        self._strategy = strategy

    def own(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return this worker's rows where a worker has every `count`-th: those of its number."""
        mine: npt.NDArray[np.int64] = rows[rows % self.count == self.number]
        return mine

    def places_in_batch(self, size: int) -> npt.NDArray[np.int64]:
        """Return which places of a batch are this worker's.

        The first and the last place belong together, and so on, because `mix` blends them.

        Args:
            size: of the batch.

        Raises:
            ClusterError: the batch is too small for so many workers.
        """
        places = np.arange(size)
        pairs = np.minimum(places, size - 1 - places)
        if pairs.max(initial=-1) + 1 < self.count:
            raise ClusterError(
                f"{self.count} workers cannot share a batch of {size}: each takes two of it at "
                "least. Start fewer, or raise batch_size in the recipe."
            )
        mine: npt.NDArray[np.int64] = places[pairs % self.count == self.number]
        return mine

    def over_batch(self, gradients_of: GradientsOf) -> Callable[..., Gradients]:
        """Return a function of a batch that computes the same from all workers' parts of it.

        Args:
            gradients_of: computes a worker's share.

        Returns:
            A function, for use in a `tf.function`, of inputs and targets; of several workers, of
            those of this worker's part and the three values of `BatchPart`. All have to call it.
        """
        strategy = self._strategy
        if strategy is None:
            return lambda inputs, targets: gradients_of(inputs, targets, 1.0)

        def part(inputs: tf.Tensor, targets: tf.Tensor, *which: tf.Tensor) -> Gradients:
            mine = BatchPart(*which)
            share = tf.cast(mine.counted, tf.float32) / tf.cast(mine.size, tf.float32)
            with part_of_batch(mine):
                gradients, loss, accuracy = gradients_of(inputs, targets, share)
            replica = tf.distribute.get_replica_context()
            *total, loss, accuracy = replica.all_reduce(_SUM, [*gradients, loss, accuracy])
            return total, loss, accuracy

        return lambda *batch: strategy.run(part, batch)

    def sum(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the sum of all workers' arrays, which have one shape. All have to call it."""
        return values if self._strategy is None else self._reduce(values)

    def from_chief(self, content: bytes | None) -> bytes | None:
        """Return what the chief passes; what others pass is ignored. All have to call it."""
        if self._strategy is None:
            return content
        length = -1 if content is None else len(content)
        length = int(self._reduce(np.array([length if self.chief else 0], np.int32))[0])
        if length <= 0:
            # TensorFlow crashes where it is to reduce an array of no values.
            return None if length < 0 else b""
        values = np.zeros(-(-length // 4), np.int32)
        if self.chief and content is not None:
            values.view(np.uint8)[:length] = np.frombuffer(content, np.uint8)
        return self._reduce(values).tobytes()[:length]

    def agree(self, finished: bool) -> bool:
        """Return what the chief says; what others say is ignored. All have to call it."""
        return self.from_chief(b"" if finished else None) is not None

    def require_same(self, identity: Mapping[str, object]) -> None:
        """Check that all workers train the same. All have to call it.

        Args:
            identity: everything that the result depends on, as JSON.

        Raises:
            ClusterError: a worker trains something else than the chief.
        """
        if self._strategy is None:
            return
        theirs = json.loads(self.from_chief(json.dumps(identity).encode()) or b"{}")
        mine = json.loads(json.dumps(identity))
        differing = [key for key in mine if mine[key] != theirs.get(key)]
        flags = np.zeros(self.count, np.int32)
        flags[self.number] = bool(differing)
        others = [n + 1 for n in np.flatnonzero(self._reduce(flags))]
        if differing:
            raise ClusterError(
                f"This worker, {self.number + 1} of {self.count}, has another "
                f"{', '.join(differing)} than the chief. Start all workers with the same command, "
                "data, weights and release."
            )
        if others:
            raise ClusterError(
                f"Worker {', '.join(map(str, others))} of {self.count} trains something else; its "
                "last line says what. Start all workers with the same command."
            )

    def _reduce(self, values: npt.NDArray[Number]) -> npt.NDArray[Number]:
        strategy: Any = self._strategy

        def total(mine: tf.Tensor) -> tf.Tensor:
            # The copy has a device, which the strategy asks for.
            return tf.distribute.get_replica_context().all_reduce(_SUM, tf.identity(mine))

        # A collective operation has to be in a graph; eager ones would wait for each other. A graph
        # for each use, because operations are numbered as they are traced.
        graph = tf.function(lambda mine: strategy.run(total, (mine,))).get_concrete_function(
            tf.TensorSpec(values.shape, values.dtype)
        )
        reduced: npt.NDArray[Number] = graph(tf.constant(values)).numpy()
        return reduced


ALONE: Final = Workers()
"""A training on one machine."""


@contextmanager
def connected(task: ClusterTask | None) -> Iterator[Workers]:
    """Connect the workers of one training for this block; wait until all have started.

    Args:
        task: this worker's place; None to train alone.

    Raises:
        ClusterError: this worker's port is in use.
        LostWorkerError: another worker has ended or cannot be reached; what is finished is kept.
    """
    if task is None:
        yield ALONE
        return
    try:
        # Has to come before every other use of TensorFlow in this process.
        _wait_for_heartbeats()
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    except (tf.errors.OpError, RuntimeError, ValueError) as error:
        raise ClusterError(
            f"Worker {task.number + 1} of {len(task.addresses)} cannot start on "
            f"{task.addresses[task.number]}: {first_line(error).rstrip('.')}. Check that the "
            "address is this machine's and its port free, and that the others can be reached."
        ) from error
    workers = Workers(task, strategy)
    try:
        yield workers
    except _LOST as error:
        raise LostWorkerError(
            f"Another worker of this training has ended or cannot be reached (this is "
            f"{task.number + 1} of {len(task.addresses)}). Finished epochs are kept in the chief's "
            "work folder. Start the same command again on every machine; TF_CONFIG may list fewer "
            "or more of them."
        ) from error


def _wait_for_heartbeats() -> None:
    """Let a worker be silent for minutes before the others take it for lost.

    A process that ends is noticed at once, by its connections. TensorFlow's ten seconds are for one
    that hangs, and a machine that has more to do can be silent for longer. There is no public way
    to set them; the strategy takes what it finds here.
    """
    spec = tf.distribute.cluster_resolver.TFConfigClusterResolver().cluster_spec()
    jobs = [
        CoordinatedJob(name=job, num_tasks=spec.num_tasks(job))
        for job in ("chief", "worker")
        if job in spec.jobs
    ]
    context.context().configure_coordination_service(
        service_type="standalone",
        service_leader=f"/job:{jobs[0].name}/replica:0/task:0",
        heartbeat_timeout_in_ms=_SILENCE_MS,
        coordinated_jobs=jobs,
    )
