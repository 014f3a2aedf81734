from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from lentigo_trainer.calibration.cross_validation import MEASURED
from lentigo_trainer.calibration.fold_task import FailedFold, FoldOutcome, FoldTask
from lentigo_trainer.config.sweep_file import Sweep, Variant, read_sweep
from lentigo_trainer.config.training import TrainingConfig
from lentigo_trainer.data.dataset import Prepared
from lentigo_trainer.data.splits import TrainingRows
from lentigo_trainer.errors import RecipeError, WorkFolderError
from lentigo_trainer.metrics.bootstrap import Estimate
from lentigo_trainer.sweep.records import SweepRecord
from lentigo_trainer.sweep.report import sweep_page, write_report
from lentigo_trainer.sweep.run import RunEstimates, run_sweep
from lentigo_trainer.system.child_process import Ended
from lentigo_trainer.system.progress import Progress, SilentProgress
from lentigo_trainer.training.work_folder import EpochMetrics
from tests.trainer.made_up_runs import run_of

SCORES = {"base": 0.4, "good": 0.9, "fair": 0.6, "bad": 0.1}


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    (tmp_path / "own.toml").write_text("folds = 2\nepochs = 4\n[fine_tuning]\n")
    file = tmp_path / "s.toml"
    variants = "".join(
        f"[variants.{name}]\nfine_tuning.mixup = 0.{n}\n"
        for n, name in enumerate(list(SCORES)[1:], start=1)
    )
    file.write_text(f'name = "s"\nbase = "own.toml"\nreduction = 2\n{variants}')
    return read_sweep(file)


def history(task: FoldTask) -> tuple[EpochMetrics, ...]:
    name = (task.config.recipe.name or "").removeprefix("s_")
    return tuple(
        EpochMetrics(n, 0.5, 1.0, 0.5, 1.0, 1.0, validation_balanced_accuracy=SCORES[name])
        for n in range(1, task.epochs + 1)
    )


class Tasks:
    """Trains nothing, and records what it was asked for."""

    def __init__(self, failing: str = "") -> None:
        self.asked: list[tuple[str, int, int]] = []
        self.failing = failing

    def __call__(self, tasks: Sequence[FoldTask]) -> Iterator[tuple[FoldTask, FoldOutcome | Ended]]:
        # The last task ends first, as it may on a cluster.
        for task in reversed(tasks):
            name = task.config.recipe.name or ""
            self.asked.append((name.removeprefix("s_"), task.number, task.epochs))
            failed = name == f"s_{self.failing}"
            yield task, FailedFold("the loss is nan.") if failed else history(task)


def compared(
    configs: Sequence[TrainingConfig],
    prepared: Prepared,
    rows: TrainingRows,
    progress: Progress,
) -> list[RunEstimates]:
    del prepared, rows, progress
    one = dict.fromkeys(MEASURED, Estimate(value=0.5, low=0.4, high=0.6, n=70))
    return [(one, one) for _ in configs]


def run(sweep: Sweep, tasks: Tasks, prepared: Prepared, work: Path, seed: int = 0) -> SweepRecord:
    config = replace(run_of(sweep.variants[0].recipe, work), seed=seed)
    return run_sweep(sweep, config, prepared, tasks, compared, SilentProgress())


def test_the_better_half_goes_on_at_each_rung(
    sweep: Sweep, prepared: Prepared, tmp_path: Path
) -> None:
    tasks = Tasks()
    record = run(sweep, tasks, prepared, tmp_path)
    by_rung = [{name for name, _, epochs in tasks.asked if epochs == rung} for rung in (1, 2, 4)]
    assert by_rung == [set(SCORES), {"base", "good", "fair"}, {"base", "good", "fair"}]
    assert {fold for _, fold, _ in tasks.asked} == {1, 2}
    assert record.rungs == (1, 2, 4)
    states = {each.name: (each.state, each.epochs) for each in record.variants}
    assert states == {
        "base": ("finished", 4),
        "good": ("finished", 4),
        "fair": ("finished", 4),
        "bad": ("left behind", 1),
    }
    assert record.trained_epochs == 2 * (4 + 4 + 4 + 1)
    assert record.variants[0].differences is None
    assert record.variants[1].differences is not None


def test_a_variant_that_fails_is_reported_and_the_others_go_on(
    sweep: Sweep, prepared: Prepared, tmp_path: Path
) -> None:
    record = run(sweep, Tasks(failing="good"), prepared, tmp_path)
    good = record.variants[1]
    assert (good.state, good.reason) == ("failed", "the loss is nan.")
    assert good.metrics is None
    assert [each.state for each in record.variants].count("finished") == 2
    assert "good failed: the loss is nan." in sweep_page(record)


def test_where_all_fail_the_report_says_so(
    sweep: Sweep, prepared: Prepared, tmp_path: Path
) -> None:
    only = replace(sweep, variants=sweep.variants[:1])
    record = run(only, Tasks(failing="base"), prepared, tmp_path)
    page = sweep_page(record)
    assert "base failed" in page
    assert "Those that reached the end" not in page
    assert len(write_report(record, tmp_path / "report")) == 3


def test_a_variant_that_was_changed_is_refused(
    sweep: Sweep, prepared: Prepared, tmp_path: Path
) -> None:
    run(sweep, Tasks(), prepared, tmp_path)
    again = Tasks()
    assert run(sweep, again, prepared, tmp_path).variants
    changed = sweep.variants[1].recipe.model_copy(update={"batch_size": 8})
    other = replace(
        sweep, variants=(sweep.variants[0], Variant("good", changed, {"batch_size": "8"}))
    )
    with pytest.raises(WorkFolderError, match=r"sweeps/s/good was made with another recipe"):
        run(other, Tasks(), prepared, tmp_path)
    with pytest.raises(WorkFolderError, match="another seed"):
        run(sweep, Tasks(), prepared, tmp_path, seed=1)


def test_a_budget_too_small_is_refused(sweep: Sweep, prepared: Prepared, tmp_path: Path) -> None:
    tasks = Tasks()
    with pytest.raises(RecipeError, match="budget_epochs are 3"):
        run(replace(sweep, budget_epochs=3), tasks, prepared, tmp_path)
    assert tasks.asked == []


def test_the_report_has_the_page_the_record_and_the_plots(
    sweep: Sweep, prepared: Prepared, tmp_path: Path
) -> None:
    record = run(sweep, Tasks(), prepared, tmp_path)
    files = write_report(record, tmp_path / "report")
    assert {file.name for file in files} == {
        "README.md",
        "sweep.json",
        "curves.png",
        "differences.png",
    }
    page = (tmp_path / "report" / "README.md").read_text()
    assert "Not a medical device" in page
    assert "| good | fine_tuning.mixup = 0.1 | finished | 4 | 90.0 % |" in page
    assert "| bad | fine_tuning.mixup = 0.3 | left behind | 1 | 10.0 % |" in page
    assert "not corrected for 2 comparisons" in page
    assert (
        SweepRecord.model_validate_json((tmp_path / "report" / "sweep.json").read_text()) == record
    )
