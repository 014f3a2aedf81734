from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from lentigo_trainer.benchmark.isolation import NotMeasured, Outcome
from lentigo_trainer.benchmark.job import Job, write_result
from lentigo_trainer.benchmark.records import Benchmark
from lentigo_trainer.benchmark.report import report_page
from lentigo_trainer.benchmark.run import BenchmarkConfig, compare
from lentigo_trainer.benchmark.tables import earlier_versions
from lentigo_trainer.errors import WorkFolderError
from lentigo_trainer.models.registry import ARCHITECTURES
from lentigo_trainer.system.progress import SilentProgress
from lentigo_trainer.system.storage import locked
from tests.trainer.benchmark.made_up import NOW, made_config, made_prepared, made_result


class KilledError(Exception):
    """Stands for a kill while an architecture runs."""


class FakeJobs:
    """Runs jobs by making results up, and records their order."""

    def __init__(self, outcomes: dict[str, NotMeasured] | None = None, kill: str = "") -> None:
        self.outcomes = outcomes or {}
        self.kill = kill
        self.names: list[str] = []
        self.written: list[Benchmark] = []

    def __call__(self, job: Job) -> Outcome:
        name = job.config.recipe.architecture
        if name == self.kill:
            raise KilledError
        self.names.append(name)
        if name in self.outcomes:
            return self.outcomes[name]
        result = made_result(epochs=job.config.recipe.epochs)
        write_result(job, result)
        return result

    def run(self, config: BenchmarkConfig, reported: Benchmark | None = None) -> Benchmark:
        write, progress = self.written.append, SilentProgress()
        return compare(
            config, made_prepared(), self.run_all, write, lambda: NOW, progress, reported
        )

    def run_all(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, Outcome]]:
        return ((job, self(job)) for job in jobs)


def reasons(benchmark: Benchmark) -> dict[str, str]:
    return {entry.name: entry.reason for entry in benchmark.entries if entry.reason is not None}


def test_every_architecture_runs_with_the_epochs_of_its_recipe(tmp_path: Path) -> None:
    jobs = FakeJobs()
    result = jobs.run(made_config(tmp_path))
    assert jobs.names == list(ARCHITECTURES)
    epochs = {entry.name: entry.measured.epochs for entry in result.entries if entry.measured}
    assert epochs == {
        "cnn": 10,
        "vgg16": 10,
        "resnet50": 20,
        "mobilenet": 20,
        "mobilenet_075": 20,
        "mobilenet_050": 20,
        "mobilenet_v2": 20,
        "mobilenet_v3_small": 20,
        "mobilenet_v3_large": 20,
        "efficientnet_lite0": 20,
        "efficientnet_lite2": 20,
        "mobilenet_v2_torchvision": 20,
    }


def test_a_failure_is_reported_and_the_next_architecture_runs(tmp_path: Path) -> None:
    jobs = FakeJobs({"vgg16": NotMeasured("It broke.", failed=True)})
    result = jobs.run(made_config(tmp_path, "cnn", "vgg16", "mobilenet"))
    assert jobs.names == ["cnn", "vgg16", "mobilenet"]
    entries = {entry.name: entry for entry in result.entries}
    assert entries["vgg16"].reason == "It broke"
    assert [entry.name for entry in result.entries if entry.failed] == ["vgg16"]
    assert entries["mobilenet"].measured is not None


def test_a_killed_benchmark_resumes(tmp_path: Path) -> None:
    config = made_config(tmp_path, "cnn", "vgg16", "mobilenet")
    killed = FakeJobs(kill="vgg16")
    with pytest.raises(KilledError):
        killed.run(config)
    # The report that the kill left has the finished result.
    assert [entry.name for entry in killed.written[-1].entries if entry.measured] == ["cnn"]
    assert "turn had not come" in reasons(killed.written[-1])["mobilenet"]
    again = FakeJobs()
    result = again.run(config)
    assert again.names == ["vgg16", "mobilenet"]
    assert [entry.name for entry in result.entries if entry.measured] == [*config.chosen]


def test_a_failed_architecture_runs_again(tmp_path: Path) -> None:
    config = made_config(tmp_path, "cnn")
    FakeJobs({"cnn": NotMeasured("It broke", failed=True)}).run(config)
    again = FakeJobs()
    assert again.run(config).entries[0].measured is not None
    assert again.names == ["cnn"]


def test_a_report_has_the_results_of_earlier_runs_on_the_same_rows(tmp_path: Path) -> None:
    FakeJobs().run(made_config(tmp_path, "cnn", epochs=3))
    later = FakeJobs()
    result = later.run(made_config(tmp_path, "mobilenet"))
    assert later.names == ["mobilenet"]
    (cnn,) = (entry for entry in result.entries if entry.name == "cnn")
    assert cnn.measured is not None
    assert (cnn.measured.epochs, cnn.recipe_epochs) == (3, 10)


def test_a_report_can_be_added_to_from_another_work_folder(tmp_path: Path) -> None:
    first = FakeJobs().run(made_config(tmp_path / "there", "cnn", "vgg16", epochs=3))
    later = FakeJobs()
    result = later.run(made_config(tmp_path / "here", "vgg16", "mobilenet"), first)
    assert later.names == ["vgg16", "mobilenet"]
    epochs = {entry.name: entry.measured.epochs for entry in result.entries if entry.measured}
    assert epochs == {"cnn": 3, "vgg16": 10, "mobilenet": 20}


def test_results_of_an_earlier_version_stay_and_name_it(tmp_path: Path) -> None:
    first = FakeJobs().run(made_config(tmp_path / "there", "cnn", "vgg16"))
    first = first.model_copy(update={"code_version": "0.0.0"})
    second = FakeJobs().run(made_config(tmp_path / "here", "vgg16"), first)
    third = FakeJobs().run(made_config(tmp_path / "here", "mobilenet"), second)
    assert earlier_versions(third) == ["CNN 0.0.0"]
    assert "Measured by another version: CNN 0.0.0." in report_page(third)


@pytest.mark.parametrize("other", [{"dataset": "e" * 64}, {"seed": 1}, {"limit": 60}])
def test_a_report_on_other_images_is_replaced(tmp_path: Path, other: dict[str, object]) -> None:
    first = FakeJobs().run(made_config(tmp_path / "there", "cnn"))
    later = made_config(tmp_path / "here", "mobilenet")
    assert "cnn" in reasons(FakeJobs().run(later, first.model_copy(update=other)))


def test_results_on_other_rows_are_left_out(tmp_path: Path) -> None:
    FakeJobs().run(made_config(tmp_path, "cnn", limit=60))
    assert "cnn" in reasons(FakeJobs().run(made_config(tmp_path, "mobilenet")))


def test_another_recipe_runs_again(tmp_path: Path) -> None:
    FakeJobs().run(made_config(tmp_path, "cnn", epochs=1))
    again = FakeJobs()
    again.run(made_config(tmp_path, "cnn", epochs=2))
    assert again.names == ["cnn"]


def test_changed_weights_run_again(tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    weights.mkdir()
    file = ARCHITECTURES["vgg16"].weights_file
    assert file is not None
    counts = []
    for content in (b"one", b"one", b"two"):
        (weights / file).write_bytes(content)
        jobs = FakeJobs()
        jobs.run(made_config(tmp_path / "work", "vgg16", weights=weights))
        counts.append(len(jobs.names))
    assert counts == [1, 0, 1]


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"key": 1, "measured": 2}'])
def test_a_damaged_result_runs_again(tmp_path: Path, content: str) -> None:
    config = made_config(tmp_path, "cnn")
    FakeJobs().run(config)
    (tmp_path / "cnn" / "measured.json").write_text(content)
    again = FakeJobs()
    again.run(config)
    assert again.names == ["cnn"]


def test_a_second_benchmark_in_the_same_work_folder_is_refused(tmp_path: Path) -> None:
    jobs = FakeJobs()
    with locked(tmp_path / "benchmark"), pytest.raises(WorkFolderError, match="Another run"):
        jobs.run(made_config(tmp_path, "cnn"))
    assert jobs.names == []


def test_a_run_folder_in_use_is_refused_before_anything_runs(tmp_path: Path) -> None:
    jobs = FakeJobs()
    with locked(tmp_path / "mobilenet"), pytest.raises(WorkFolderError, match="mobilenet"):
        jobs.run(made_config(tmp_path, "cnn", "mobilenet"))
    assert jobs.names == []


def test_the_report_names_no_folder_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    reason = f"work/cnn has no network that would work, and {tmp_path}/work/cnn is damaged"
    jobs = FakeJobs({"cnn": NotMeasured(reason, failed=True)})
    result = jobs.run(made_config(Path("work"), "cnn"))
    assert reasons(result)["cnn"] == (
        "the work folder/cnn has no network that would work, and the work folder/cnn is damaged"
    )


def test_the_report_counts_the_validation_images(tmp_path: Path) -> None:
    result = FakeJobs().run(made_config(tmp_path, "cnn"))
    assert result.images == 84
    # 17 % of the 84 lesions, stratified by class.
    assert sum(result.validation.values()) == 15
    assert set(result.validation.values()) == {2, 3}
