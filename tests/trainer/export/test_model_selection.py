from pathlib import Path

import pytest

from lentigo_contract.manifest.dataset import DatasetRecord
from lentigo_contract.manifest.manifest import Manifest
from lentigo_trainer.config.training import SelectionMetric
from lentigo_trainer.errors import WorkFolderError
from lentigo_trainer.export.publishing import best_run
from lentigo_trainer.metrics.bootstrap import Estimate
from tests.fakes import made_manifest
from tests.trainer.benchmark.made_up import made_evaluation


def manifest(accuracy: float | None, balanced: float | None = 0.5, data: str = "a") -> Manifest:
    def estimate(value: float | None) -> Estimate:
        return Estimate(value=value, low=None, high=None, n=200)

    evaluation = made_evaluation().model_copy(
        update={"accuracy": estimate(accuracy), "balanced_accuracy": estimate(balanced)}
    )
    dataset = DatasetRecord(
        name="made up", source="code", license="none", images=14, digest=data * 64
    )
    return made_manifest(metrics=evaluation.to_json(), dataset=dataset)


def finished(work: Path, name: str, content: Manifest) -> Path:
    (work / name).mkdir(parents=True)
    (work / name / "candidate.json").write_text(content.to_json())
    return work / name


def test_the_best_run_depends_on_the_metric(tmp_path: Path) -> None:
    finished(tmp_path, "cnn", manifest(accuracy=0.9, balanced=0.4))
    finished(tmp_path, "vgg16", manifest(accuracy=0.8, balanced=0.6))
    (tmp_path / "unfinished").mkdir()
    assert best_run(tmp_path, SelectionMetric.ACCURACY).name == "cnn"
    assert best_run(tmp_path, SelectionMetric.BALANCED_ACCURACY).name == "vgg16"


def test_a_run_without_the_metric_is_not_the_best(tmp_path: Path) -> None:
    finished(tmp_path, "cnn", manifest(accuracy=0.1))
    finished(tmp_path, "vgg16", manifest(accuracy=None))
    finished(tmp_path, "strange", made_manifest(metrics={"accuracy": "high"}))
    assert best_run(tmp_path, SelectionMetric.ACCURACY).name == "cnn"


@pytest.mark.parametrize("runs", [[], [manifest(accuracy=None)]])
def test_without_a_finished_run_choosing_is_an_error(tmp_path: Path, runs: list[Manifest]) -> None:
    for number, content in enumerate(runs):
        finished(tmp_path, str(number), content)
    with pytest.raises(WorkFolderError, match="no finished run to choose from"):
        best_run(tmp_path, SelectionMetric.ACCURACY)
