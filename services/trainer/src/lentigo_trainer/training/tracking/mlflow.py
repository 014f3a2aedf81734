"""Runs in MLflow, where `MLFLOW_TRACKING_URI` says so; otherwise nothing is loaded or sent.

Every training of a network is one run of MLflow: parameters, metrics by epoch, artefacts and, once
it is published, the version. Its number is kept beside the training's other results, so a resumed
training goes on with the same run. No image, no name of an image and no path is sent.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lentigo_trainer.errors import TrackingError
from lentigo_trainer.system.progress import Progress
from lentigo_trainer.system.storage import write_whole
from lentigo_trainer.training.work_folder import EpochMetrics

if TYPE_CHECKING:
    from mlflow import MlflowClient

VARIABLE: Final = "MLFLOW_TRACKING_URI"
_EXPERIMENT: Final = "MLFLOW_EXPERIMENT_NAME"
_DEFAULT_EXPERIMENT: Final = "lentigo"

_FILE: Final = "mlflow-run.json"

# MLflow refuses longer values.
_LONGEST: Final = 500


class TrackedRun:
    """One run of MLflow.

    Once a run has begun, a server that does not answer never ends a training: what it missed is
    sent with the next epoch.

    Args:
        client: of MLflow.
        number: of the run.
        progress: is told when the server does not answer.
    """

    def __init__(self, client: "MlflowClient", number: str, progress: Progress) -> None:
        self._client = client
        self._number = number
        self._progress = progress
        self._unsent: list[EpochMetrics] = []

    def add_epoch(self, epoch: EpochMetrics) -> None:
        """Send the metrics of an epoch, and of those before it that did not arrive."""
        self._unsent.append(epoch)
        from mlflow.entities import Metric  # noqa: PLC0415 - only where runs are tracked

        now = int(time.time() * 1000)
        metrics = [
            Metric(name, value, now, each.epoch)
            for each in self._unsent
            for name, value in each.row().items()
            if name != "epoch"
        ]
        with self._forgiving():
            self._client.log_batch(self._number, metrics=metrics)
            self._unsent.clear()

    def add_metrics(self, metrics: Mapping[str, float]) -> None:
        """Send metrics of the finished network."""
        with self._forgiving():
            for name, value in metrics.items():
                self._client.log_metric(self._number, name, value)

    def add_files(self, files: Sequence[Path]) -> None:
        """Send files and folders that exist."""
        with self._forgiving():
            for path in files:
                if path.is_dir():
                    self._client.log_artifacts(self._number, str(path), path.name)
                elif path.is_file():
                    self._client.log_artifact(self._number, str(path))

    def set_tag(self, name: str, value: str) -> None:
        """Send a word about the run."""
        with self._forgiving():
            self._client.set_tag(self._number, name, value)

    def end(self, status: str) -> None:
        """Send how the training ended: FINISHED, FAILED or KILLED."""
        with self._forgiving():
            self._client.set_terminated(self._number, status)

    @contextmanager
    def _forgiving(self) -> Iterator[None]:
        from mlflow.exceptions import MlflowException  # noqa: PLC0415 - see above

        try:
            yield
        except (MlflowException, OSError) as error:
            self._progress.say(
                f"MLflow did not take something ({_kind(error)}); the training goes on"
            )


@contextmanager
def tracked(
    folder: Path, name: str, parameters: Mapping[str, object], progress: Progress
) -> Iterator[TrackedRun | None]:
    """Track a training within this block, and how it ends; None where nothing is tracked.

    Args:
        folder: of the training; it keeps the number of the run.
        name: of the run.
        parameters: what the training depends on; tables are flattened to dotted names.
        progress: is told when the server does not answer.

    Raises:
        TrackingError: MLflow is not installed, or its server does not answer.
    """
    if not is_tracked():
        yield None
        return
    run = _started(folder, name, parameters, progress)
    try:
        yield run
    except KeyboardInterrupt:
        run.end("KILLED")
        raise
    except BaseException:
        run.end("FAILED")
        raise
    run.end("FINISHED")


def is_tracked() -> bool:
    """Return whether runs are tracked in MLflow."""
    return bool(os.environ.get(VARIABLE))


def tracked_before(folder: Path, progress: Progress) -> TrackedRun | None:
    """Return the run of a training that was tracked, to add to it; None if it was not.

    Raises:
        TrackingError: MLflow is not installed.
    """
    number = _number_in(folder) if is_tracked() else None
    return None if number is None else TrackedRun(_client(), number, progress)


def flat(values: Mapping[str, object], prefix: str = "") -> dict[str, str]:
    """Flatten tables to dotted names, such as `fine_tuning.mixup`."""
    found: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = str(value)[:_LONGEST]
    return found


def _started(
    folder: Path, name: str, parameters: Mapping[str, object], progress: Progress
) -> TrackedRun:
    client = _client()
    from mlflow.entities import Param  # noqa: PLC0415 - see above
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    try:
        number = _number_in(folder)
        if number is not None and _known(client, number):
            client.update_run(number, status="RUNNING")
            return TrackedRun(client, number, progress)
        run = client.create_run(_experiment(client), run_name=name)
        number = str(run.info.run_id)
        params = [Param(key, value) for key, value in flat(parameters).items()]
        client.log_batch(number, params=params)
    except (MlflowException, OSError) as error:
        raise TrackingError(
            f"MLflow does not answer where {VARIABLE} says, or refuses ({_kind(error)}). Check "
            f"the variable and the server, or unset {VARIABLE} to train without it."
        ) from error
    content = json.dumps({"run_id": number}).encode()
    write_whole(folder / _FILE, content)
    return TrackedRun(client, number, progress)


def _experiment(client: "MlflowClient") -> str:
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - see above

    name = os.environ.get(_EXPERIMENT) or _DEFAULT_EXPERIMENT
    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name))
        except MlflowException:
            # Another training may have made it at the same moment.
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    return str(found.experiment_id)


def _kind(error: Exception) -> str:
    """Name an error without its message, which may hold the server's address with a password."""
    return str(getattr(error, "error_code", None) or type(error).__name__)


def _known(client: "MlflowClient", number: str) -> bool:
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - see above

    try:
        client.get_run(number)
    except MlflowException:
        # Of another server, or deleted.
        return False
    return True


def _number_in(folder: Path) -> str | None:
    try:
        found: Any = json.loads((folder / _FILE).read_text())["run_id"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return str(found)


def _client() -> "MlflowClient":
    try:
        from mlflow import MlflowClient  # noqa: PLC0415 - only where runs are tracked
    except ImportError as error:
        raise TrackingError(
            f"{VARIABLE} is set, but the package mlflow-skinny is not installed. Install it with: "
            f"pip install 'lentigo-trainer[mlflow]', or unset {VARIABLE} to train without it."
        ) from error
    # Seconds and tries, so that a server that hangs does not hold up a training for long.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    return MlflowClient()
