from pathlib import Path

import pytest

from lentigo_trainer.benchmark.isolation import NotMeasured, Outcome
from lentigo_trainer.benchmark.job import Job, keep
from lentigo_trainer.benchmark.records import Benchmark
from lentigo_trainer.benchmark.run import BenchmarkConfig, compare
from lentigo_trainer.errors import WorkFolderError
from lentigo_trainer.models.registry import ARCHITECTURES
from lentigo_trainer.system.progress import SilentProgress
from lentigo_trainer.system.storage import locked
from tests.trainer.benchmark.made_up import NOW, made_config, made_measured, made_prepared


class KilledError(Exception):
    """Stands for a kill while an architecture has its turn."""


class Measuring:
    """Measures by making figures up; remembers whose turn it was."""

    def __init__(self, outcomes: dict[str, NotMeasured] | None = None, kill: str = "") -> None:
        self.outcomes = outcomes or {}
        self.kill = kill
        self.turns: list[str] = []
        self.written: list[Benchmark] = []

    def __call__(self, job: Job) -> Outcome:
        name = job.config.recipe.architecture
        if name == self.kill:
            raise KilledError
        self.turns.append(name)
        if name in self.outcomes:
            return self.outcomes[name]
        measured = made_measured(epochs=job.config.recipe.epochs)
        keep(job, measured)
        return measured

    def run(self, config: BenchmarkConfig, reported: Benchmark | None = None) -> Benchmark:
        write, progress = self.written.append, SilentProgress()
        return compare(config, made_prepared(), self, write, lambda: NOW, progress, reported)


def reasons(benchmark: Benchmark) -> dict[str, str]:
    return {entry.name: entry.reason for entry in benchmark.entries if entry.reason is not None}


def test_every_architecture_gets_its_turn_and_its_own_epochs(tmp_path: Path) -> None:
    measuring = Measuring()
    result = measuring.run(made_config(tmp_path))
    assert measuring.turns == list(ARCHITECTURES)
    epochs = {entry.name: entry.measured.epochs for entry in result.entries if entry.measured}
    assert epochs == {
        "cnn": 10,
        "vgg16": 10,
        "resnet50": 20,
        "mobilenet": 20,
        "mobilenet_v2": 20,
        "mobilenet_v3_small": 20,
        "mobilenet_v3_large": 20,
    }


def test_one_that_fails_is_told_and_the_next_gets_its_turn(tmp_path: Path) -> None:
    measuring = Measuring({"vgg16": NotMeasured("It broke.", failed=True)})
    result = measuring.run(made_config(tmp_path, "cnn", "vgg16", "mobilenet"))
    assert measuring.turns == ["cnn", "vgg16", "mobilenet"]
    found = {entry.name: entry for entry in result.entries}
    assert found["vgg16"].reason == "It broke"
    assert [entry.name for entry in result.entries if entry.failed] == ["vgg16"]
    assert found["mobilenet"].measured is not None


def test_a_killed_benchmark_goes_on_where_it_was(tmp_path: Path) -> None:
    config = made_config(tmp_path, "cnn", "vgg16", "mobilenet")
    killed = Measuring(kill="vgg16")
    with pytest.raises(KilledError):
        killed.run(config)
    # What was finished is in the report that the kill left.
    assert [entry.name for entry in killed.written[-1].entries if entry.measured] == ["cnn"]
    assert "turn had not come" in reasons(killed.written[-1])["mobilenet"]
    again = Measuring()
    result = again.run(config)
    assert again.turns == ["vgg16", "mobilenet"]
    assert [entry.name for entry in result.entries if entry.measured] == [*config.chosen]


def test_a_failure_is_tried_again(tmp_path: Path) -> None:
    config = made_config(tmp_path, "cnn")
    Measuring({"cnn": NotMeasured("It broke", failed=True)}).run(config)
    again = Measuring()
    assert again.run(config).entries[0].measured is not None
    assert again.turns == ["cnn"]


def test_a_report_holds_what_earlier_sittings_measured_on_the_same_rows(tmp_path: Path) -> None:
    Measuring().run(made_config(tmp_path, "cnn", epochs=3))
    later = Measuring()
    result = later.run(made_config(tmp_path, "mobilenet"))
    assert later.turns == ["mobilenet"]
    (cnn,) = (entry for entry in result.entries if entry.name == "cnn")
    assert cnn.measured is not None
    assert (cnn.measured.epochs, cnn.recipe_epochs) == (3, 10)


def test_a_report_is_added_to_from_another_work_folder(tmp_path: Path) -> None:
    first = Measuring().run(made_config(tmp_path / "there", "cnn", "vgg16", epochs=3))
    later = Measuring()
    result = later.run(made_config(tmp_path / "here", "vgg16", "mobilenet"), first)
    assert later.turns == ["vgg16", "mobilenet"]
    found = {entry.name: entry.measured.epochs for entry in result.entries if entry.measured}
    assert found == {"cnn": 3, "vgg16": 10, "mobilenet": 20}


@pytest.mark.parametrize(
    "other", [{"dataset": "e" * 64}, {"seed": 1}, {"limit": 60}, {"code_version": "0.0.0"}]
)
def test_a_report_of_other_rows_is_not_added_to(tmp_path: Path, other: dict[str, object]) -> None:
    first = Measuring().run(made_config(tmp_path / "there", "cnn"))
    later = made_config(tmp_path / "here", "mobilenet")
    assert "cnn" in reasons(Measuring().run(later, first.model_copy(update=other)))


def test_figures_of_other_rows_stay_out(tmp_path: Path) -> None:
    Measuring().run(made_config(tmp_path, "cnn", limit=60))
    assert "cnn" in reasons(Measuring().run(made_config(tmp_path, "mobilenet")))


def test_another_recipe_is_another_measurement(tmp_path: Path) -> None:
    Measuring().run(made_config(tmp_path, "cnn", epochs=1))
    again = Measuring()
    again.run(made_config(tmp_path, "cnn", epochs=2))
    assert again.turns == ["cnn"]


def test_changed_weights_are_another_measurement(tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    weights.mkdir()
    file = ARCHITECTURES["vgg16"].weights_file
    assert file is not None
    turns = []
    for content in (b"one", b"one", b"two"):
        (weights / file).write_bytes(content)
        measuring = Measuring()
        measuring.run(made_config(tmp_path / "work", "vgg16", weights=weights))
        turns.append(len(measuring.turns))
    assert turns == [1, 0, 1]


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"key": 1, "measured": 2}'])
def test_damaged_figures_are_measured_again(tmp_path: Path, content: str) -> None:
    config = made_config(tmp_path, "cnn")
    Measuring().run(config)
    (tmp_path / "cnn" / "measured.json").write_text(content)
    again = Measuring()
    again.run(config)
    assert again.turns == ["cnn"]


def test_two_benchmarks_in_one_work_folder_are_one_too_many(tmp_path: Path) -> None:
    measuring = Measuring()
    with locked(tmp_path / "benchmark"), pytest.raises(WorkFolderError, match="Another run"):
        measuring.run(made_config(tmp_path, "cnn"))
    assert measuring.turns == []


def test_a_folder_in_use_is_found_before_hours_are_spent(tmp_path: Path) -> None:
    measuring = Measuring()
    with locked(tmp_path / "mobilenet"), pytest.raises(WorkFolderError, match="mobilenet"):
        measuring.run(made_config(tmp_path, "cnn", "mobilenet"))
    assert measuring.turns == []


def test_no_folder_of_this_machine_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told = f"work/cnn has no network that would work, and {tmp_path}/work/cnn is damaged"
    measuring = Measuring({"cnn": NotMeasured(told, failed=True)})
    result = measuring.run(made_config(Path("work"), "cnn"))
    assert reasons(result)["cnn"] == (
        "the work folder/cnn has no network that would work, and the work folder/cnn is damaged"
    )


def test_the_report_counts_the_images_held_back(tmp_path: Path) -> None:
    result = Measuring().run(made_config(tmp_path, "cnn"))
    assert result.images == 84
    # 17 % of the 84 lesions, of every class its share.
    assert sum(result.validation.values()) == 15
    assert set(result.validation.values()) == {2, 3}
