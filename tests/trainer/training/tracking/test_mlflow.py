import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from lentigo_trainer.errors import TrackingError
from lentigo_trainer.system.progress import LineProgress, SilentProgress
from lentigo_trainer.training.tracking.mlflow import (
    VARIABLE,
    TrackedRun,
    flat,
    tracked,
    tracked_before,
)
from lentigo_trainer.training.work_folder import EpochMetrics

if TYPE_CHECKING:
    from mlflow import MlflowClient

PARAMETERS = {"seed": 0, "recipe": {"epochs": 2, "fine_tuning": {"mixup": 0.2}}}


def epoch(number: int) -> EpochMetrics:
    return EpochMetrics(number, 0.5, 1.0 / number, 0.5, 1.0, 1.0)


def test_tables_are_flattened() -> None:
    assert flat(PARAMETERS) == {
        "seed": "0",
        "recipe.epochs": "2",
        "recipe.fine_tuning.mixup": "0.2",
    }
    assert len(flat({"long": "x" * 9_000})["long"]) == 500


def test_unless_asked_for_nothing_is_loaded_or_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with tracked(tmp_path, "run", PARAMETERS, SilentProgress()) as run:
        assert run is None
    assert tracked_before(tmp_path, SilentProgress()) is None
    assert not list(tmp_path.iterdir())


def test_without_the_package_the_training_does_not_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "http://user:secret@127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with (
        pytest.raises(TrackingError, match=r"pip install 'lentigo-trainer\[mlflow\]'") as caught,
        tracked(tmp_path, "run", PARAMETERS, SilentProgress()),
    ):
        pass
    assert "secret" not in str(caught.value)


@pytest.mark.filterwarnings("ignore")  # MLflow's own
class TestWithMlflow:
    @pytest.fixture(autouse=True)
    def store(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        pytest.importorskip("mlflow", reason="mlflow-skinny is not installed")
        monkeypatch.setenv(VARIABLE, (tmp_path / "store").as_uri())
        monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")

    def test_a_resumed_training_goes_on_with_its_run(self, tmp_path: Path) -> None:
        from mlflow import MlflowClient

        folder = tmp_path / "run"

        def interrupted() -> None:
            with tracked(folder, "ours", PARAMETERS, SilentProgress()) as run:
                assert run is not None
                run.add_epoch(epoch(1))
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            interrupted()
        client = MlflowClient()
        (experiment,) = client.search_experiments(filter_string="name = 'lentigo'")
        (found,) = client.search_runs([experiment.experiment_id])
        assert found.info.status == "KILLED"
        with tracked(folder, "ours", PARAMETERS, SilentProgress()) as run:
            assert run is not None
            run.add_epoch(epoch(2))
        (found,) = client.search_runs([experiment.experiment_id])
        assert found.info.status == "FINISHED"
        assert found.info.run_name == "ours"
        assert found.data.params["recipe.fine_tuning.mixup"] == "0.2"
        losses = client.get_metric_history(found.info.run_id, "loss")
        assert [(each.step, each.value) for each in losses] == [(1, 1.0), (2, 0.5)]

    def test_results_and_the_version_are_added_later(self, tmp_path: Path) -> None:
        from mlflow import MlflowClient

        folder, card = tmp_path / "run", tmp_path / "model-card.md"
        card.write_text("Research use only.")
        with tracked(folder, "ours", PARAMETERS, SilentProgress()):
            pass
        run = tracked_before(folder, SilentProgress())
        assert run is not None
        run.add_metrics({"final_accuracy": 0.8})
        run.add_files([card, tmp_path / "missing"])
        run.set_tag("lentigo.published_version", "3")
        client = MlflowClient()
        (experiment,) = client.search_experiments(filter_string="name = 'lentigo'")
        (found,) = client.search_runs([experiment.experiment_id])
        assert found.data.metrics["final_accuracy"] == 0.8
        assert found.data.tags["lentigo.published_version"] == "3"
        files = client.list_artifacts(found.info.run_id)
        assert [file.path for file in files] == ["model-card.md"]

    def test_a_server_that_goes_away_does_not_end_a_training(self) -> None:
        from mlflow.exceptions import MlflowException

        class Client:
            sent: list[tuple[str, int]]

            def __init__(self) -> None:
                self.away = True
                self.sent = []

            def log_batch(self, _run: str, metrics: Sequence[Any]) -> None:
                if self.away:
                    raise MlflowException("http://user:secret@host is away")
                self.sent += [(each.key, each.step) for each in metrics]

        said: list[str] = []
        client = Client()
        run = TrackedRun(cast("MlflowClient", client), "7", LineProgress(said.append))
        run.add_epoch(epoch(1))
        (line,) = said
        assert "the training goes on" in line
        assert "secret" not in line
        client.away = False
        run.add_epoch(epoch(2))
        assert [step for key, step in client.sent if key == "loss"] == [1, 2]

    def test_a_server_that_does_not_answer_is_refused_at_the_start(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(VARIABLE, "http://user:secret@127.0.0.1:1")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        with (
            pytest.raises(TrackingError, match="MLflow does not answer") as caught,
            tracked(tmp_path / "run", "ours", PARAMETERS, SilentProgress()),
        ):
            pass
        assert "secret" not in str(caught.value)
