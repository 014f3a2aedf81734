from collections.abc import Iterator, Sequence
from pathlib import Path

from lentigo_trainer.calibration.fold_task import FoldOutcome, FoldTask, run_fold_task
from lentigo_trainer.config.sweep_file import Sweep, Variant
from lentigo_trainer.data.out_of_fold import ANSWERS_NAME
from lentigo_trainer.sweep.comparison import compare_runs
from lentigo_trainer.sweep.report import write_report
from lentigo_trainer.sweep.run import run_sweep
from lentigo_trainer.system.child_process import Ended
from lentigo_trainer.system.progress import SilentProgress
from tests.trainer.made_up_runs import folded, prepared_images, run_of


def run_in_this_process(
    tasks: Sequence[FoldTask],
) -> Iterator[tuple[FoldTask, FoldOutcome | Ended]]:
    return ((task, run_fold_task(task)) for task in tasks)


def test_a_sweep_trains_and_compares_its_variants_by_lesion(tmp_path: Path) -> None:
    prepared = prepared_images(tmp_path)
    recipe = folded(small_epochs=1)
    names = ("base", "smoother")
    recipes = [recipe.model_copy(update={"name": f"s_{name}"}) for name in names]
    variants = tuple(
        Variant(name, each, {} if name == "base" else {"batch_size": "8"})
        for name, each in zip(names, recipes, strict=True)
    )
    # Compared for the first time after their last epoch, so that none is left behind.
    sweep = Sweep("s", 2, 2, None, variants)
    record = run_sweep(
        sweep,
        run_of(recipe, tmp_path),
        prepared,
        run_in_this_process,
        compare_runs,
        SilentProgress(),
    )
    base, other = record.variants
    assert (base.state, other.state) == ("finished", "finished")
    assert base.metrics is not None
    assert other.metrics is not None
    # Both recipes are the same, and so is what they come to: no difference, and no width to it.
    assert other.metrics == base.metrics
    assert other.differences is not None
    gained = other.differences["balanced_accuracy"]
    assert (gained.value, gained.low, gained.high) == (0.0, 0.0, 0.0)
    assert (tmp_path / "s_smoother" / ANSWERS_NAME).is_file()
    assert record.trained_epochs == 2 * 2 * 2
    write_report(record, tmp_path / "report")
    assert "difference to the base" in (tmp_path / "report" / "README.md").read_text()
