"""A run with an imported set besides HAM10000."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from lentigo_contract.repository.store import ModelStore
from lentigo_trainer.config.fine_tuning import FineTuning, Stage
from lentigo_trainer.config.recipe import Recipe
from lentigo_trainer.config.training import TrainingConfig, WorkFolder
from lentigo_trainer.data.dataset import Prepared, prepare
from lentigo_trainer.data.extra.imported_set import open_set
from lentigo_trainer.data.ham10000 import find_source
from lentigo_trainer.errors import LeakageError
from lentigo_trainer.evaluation.evaluate import EvaluationOptions, evaluate_version
from lentigo_trainer.evaluation.external_test import open_external_set
from lentigo_trainer.evaluation.report import EvaluationReport
from lentigo_trainer.export.publishing import candidate_files, candidate_manifest, publish_candidate
from lentigo_trainer.pipeline import Trained, train
from lentigo_trainer.system.progress import SilentProgress
from tests.fakes import synthetic_ham10000
from tests.trainer.data.extra.made_up_set import made_up_set

FINE_TUNING = FineTuning(images_per_epoch=16, stages=(Stage(side=64, epochs=1),))
RECIPE = Recipe(name="tried", hold_out=True, epochs=1, batch_size=8, fine_tuning=FINE_TUNING)
SILENT = SilentProgress()


def now() -> datetime:
    return datetime(2026, 11, 29, tzinfo=UTC)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("data")
    source = synthetic_ham10000(folder / "ham", 12, "folders", size=(64, 48))
    return prepare(find_source(source), folder / "prepared", 1, SILENT)


@pytest.fixture(scope="module")
def extra(tmp_path_factory: pytest.TempPathFactory) -> Path:
    counts = {"nv": 12, "mel": 8}
    return made_up_set(tmp_path_factory.mktemp("set"), counts, first=5_000, kept_out_share=0.4)


@pytest.fixture(scope="module")
def trained(prepared: Prepared, extra: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    work = WorkFolder(tmp_path_factory.mktemp("work"))
    config = TrainingConfig(work, RECIPE, "random", 0, None, cores=1, extra=(extra,))
    return train(config, prepared, now, SILENT, lighter=False)


def test_the_manifest_names_the_set_and_the_strictest_licence(
    trained: Trained, extra: Path
) -> None:
    manifest = candidate_manifest(trained.folder)
    assert manifest.extra_datasets is not None
    (found,) = manifest.extra_datasets
    assert found.name == "others"
    assert found.images + found.kept_out == 20
    assert found.images == len(open_set(extra, "training").rows)
    assert found.classes == {"mel": 8, "nv": 12}
    assert manifest.license == "CC BY-NC 4.0"
    card = (candidate_files(trained.folder) / "model-card.md").read_text()
    assert f"It also learned from {found.images} images of others" in " ".join(card.split())


def test_the_part_that_trained_is_refused_and_the_part_kept_out_is_measured(
    trained: Trained, extra: Path, tmp_path: Path
) -> None:
    version = ModelStore(tmp_path).open(publish_candidate(trained.folder, tmp_path).version)
    options = EvaluationOptions(1, SILENT, turned=True)
    with open_external_set(extra, "training") as images, pytest.raises(LeakageError):
        evaluate_version(version, images, options)
    with open_external_set(extra, "kept-out") as images:
        report = evaluate_version(version, images, options)
    assert report.overlap.startswith("none: ")
    assert report.external is not None
    assert report.unchanged_when_turned is not None
    assert 0 <= (report.unchanged_when_turned.value or 0) <= 1
    assert EvaluationReport.from_json(report.to_json()).unchanged_when_turned is not None
