import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from lentigo_contract.errors import DamagedVersionError, EngineError
from lentigo_contract.labels import CODES
from lentigo_contract.manifest.dataset import DatasetRecord
from lentigo_contract.manifest.manifest import Manifest
from lentigo_contract.manifest.probabilities import Prevalence
from lentigo_contract.repository.layout import MANIFEST_NAME
from lentigo_contract.repository.store import ModelStore, StoredVersion
from lentigo_trainer.data.dataset import Prepared, open_prepared
from lentigo_trainer.data.provenance import write_training_set
from lentigo_trainer.data.splits import Rows, split
from lentigo_trainer.errors import WorkFolderError
from lentigo_trainer.evaluation.comparison import paired_balanced_accuracy
from lentigo_trainer.evaluation.evaluate import EVALUATION_SEED
from lentigo_trainer.export import release_gate
from lentigo_trainer.export.publishing import candidate_files
from lentigo_trainer.export.release_gate import find_objection
from lentigo_trainer.metrics.bootstrap import Resampling
from lentigo_trainer.system.progress import LineProgress, Progress, SilentProgress
from tests.fakes import made_manifest
from tests.models import SavedModels, saved_models, weights

__all__ = ["saved_models"]

Find = Callable[[], str | None]
Publish = Callable[..., StoredVersion]
Finish = Callable[..., None]
Answers = Callable[[int], Sequence[int]]

DATASET = DatasetRecord(name="made up", source="code", license="none", images=420, digest="d" * 64)
ANSWERS = "answers.json"


@pytest.fixture(scope="module")
def prepared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prepared images of one colour each: sixty lesions of each diagnosis, one image of each."""
    folder = tmp_path_factory.mktemp("prepared")
    n = 60 * len(CODES)
    images = np.lib.format.open_memmap(
        folder / "images.npy", "w+", dtype=np.uint8, shape=(n, 224, 224, 3)
    )
    images[:] = np.random.default_rng(0).integers(0, 256, (n, 1, 1, 3), np.uint8)
    images.flush()
    records = {
        "lesion_id": [f"HAM_{row:07d}" for row in range(n)],
        "image_id": [f"ISIC_{row:07d}" for row in range(n)],
        "dx": [CODES[row % len(CODES)] for row in range(n)],
        "sha256": ["0" * 64] * n,
        "age": [""] * n,
    }
    pd.DataFrame(records).to_csv(folder / "records.csv", index=False)
    summary = {"source": {}, "images": n, "digest": DATASET.digest}
    (folder / "prepared.json").write_text(json.dumps(summary))
    return folder


@pytest.fixture(scope="module")
def prepared(prepared_folder: Path) -> Prepared:
    return open_prepared(prepared_folder)


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return tmp_path / "work" / "lentigo"


@pytest.fixture
def progress() -> list[str]:
    return []


@pytest.fixture
def objection(prepared_folder: Path, store: ModelStore, run: Path, progress: list[str]) -> Find:
    return lambda: find_objection(run, store.root, prepared_folder, LineProgress(progress.append))


@pytest.fixture
def answers(prepared: Prepared) -> Answers:
    """Give diagnoses of the validation images of which one in `every` is right."""
    truth = prepared.labels[split(prepared.records).validation]

    def answered(every: int) -> Sequence[int]:
        right = np.arange(truth.size) % every == 0
        given: list[int] = np.where(right, truth, (truth + 1) % len(CODES)).tolist()
        return given

    return answered


@pytest.fixture(autouse=True)
def _kept_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take a version's diagnoses from a file, where it has one, instead of its SavedModel."""
    whole = release_gate.diagnoses_of

    def diagnoses_of(
        folder: Path, prevalence: Prevalence | None, pixels: NDArray[np.uint8], shown: Progress
    ) -> NDArray[np.integer]:
        if not (folder / ANSWERS).exists():
            return whole(folder, prevalence, pixels, shown)
        kept = json.loads((folder / ANSWERS).read_text())
        if kept is None:
            raise EngineError("The runtime failed.")
        return np.array(kept)

    monkeypatch.setattr(release_gate, "diagnoses_of", diagnoses_of)


@pytest.fixture
def publish(store: ModelStore) -> Publish:
    """Publish a version that gives these diagnoses; it may say what trained it."""

    def published(
        diagnoses: Sequence[int] | None,
        trained: tuple[Prepared, Rows] | None = None,
        **changes: object,
    ) -> StoredVersion:
        def fill(folder: Path) -> Manifest:
            (folder / ANSWERS).write_text(json.dumps(diagnoses))
            if trained is not None:
                write_training_set(folder, *trained)
            return made_manifest(**{"dataset": DATASET, **changes})

        return store.publish(fill)

    return published


@pytest.fixture
def finish(run: Path) -> Finish:
    """Finish a run whose candidate gives these diagnoses."""

    def finished(diagnoses: Sequence[int] | None, **changes: object) -> None:
        candidate_files(run).mkdir(parents=True)
        (candidate_files(run) / ANSWERS).write_text(json.dumps(diagnoses))
        manifest = made_manifest(**{"dataset": DATASET, **changes})
        (run / "candidate.json").write_text(manifest.to_json())

    return finished


def test_an_empty_repository_takes_any_whole_run_and_needs_no_images(
    finish: Finish, run: Path, store: ModelStore, tmp_path: Path
) -> None:
    finish(None)
    assert find_objection(run, store.root, tmp_path / "none", SilentProgress()) is None


def test_a_quick_run_is_refused_even_there(
    finish: Finish, run: Path, store: ModelStore, tmp_path: Path
) -> None:
    finish(None, limit=300)
    found = find_objection(run, store.root, tmp_path / "none", SilentProgress())
    assert found == "It was trained with --limit 300."


def test_a_worse_candidate_is_refused_with_the_difference(
    finish: Finish, publish: Publish, objection: Find, answers: Answers
) -> None:
    publish(answers(1))
    finish(answers(2))
    found = objection() or ""
    assert found.startswith("It is worse than lentigo 1 on the same 72 images: balanced accuracy -")
    assert "(95 % interval -" in found


@pytest.mark.parametrize(("held", "ours"), [(2, 1), (2, 2), (3, 2)])
def test_a_better_or_equal_candidate_is_not_refused(
    finish: Finish, publish: Publish, objection: Find, answers: Answers, held: int, ours: int
) -> None:
    publish(answers(held))
    finish(answers(ours))
    assert objection() is None


def test_a_lower_figure_that_chance_explains_is_told_and_not_refused(
    finish: Finish, publish: Publish, objection: Find, answers: Answers, progress: list[str]
) -> None:
    held = list(answers(2))
    ours = list(held)
    # One right answer less.
    ours[0] = (ours[0] + 1) % len(CODES)
    publish(held)
    finish(ours)
    assert objection() is None
    (told,) = progress
    assert told.startswith("Compared with lentigo 1 on the same 72 images: balanced accuracy -")
    assert told.endswith(" to +0.0)")


def test_one_bad_version_that_was_forced_does_not_open_the_gate(
    finish: Finish, publish: Publish, objection: Find, answers: Answers
) -> None:
    publish(answers(1))
    publish(answers(3), forced="It was tried.")
    finish(answers(3))
    assert "worse than lentigo 1" in (objection() or "")


def test_a_version_that_is_not_whole_is_passed_over_as_the_service_does(
    finish: Finish, publish: Publish, objection: Find, answers: Answers, progress: list[str]
) -> None:
    (publish(answers(1)).path / ANSWERS).write_text("[]")
    finish(answers(2))
    assert objection() is None
    (told,) = progress
    assert "lentigo 1 is not compared, because it is not whole" in told


def test_a_version_of_a_newer_schema_cannot_be_compared(
    finish: Finish, publish: Publish, objection: Find, answers: Answers
) -> None:
    path = publish(answers(2)).path / MANIFEST_NAME
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": 3}))
    finish(answers(1))
    found = objection() or ""
    assert found.startswith("It cannot be compared with lentigo 1: ")
    assert "schema version 3" in found


def test_a_version_whose_runtime_fails_cannot_be_compared(
    finish: Finish, publish: Publish, objection: Find, answers: Answers
) -> None:
    publish(None)
    finish(answers(1))
    assert objection() == "It cannot be compared with lentigo 1: The runtime failed."


def test_a_candidate_whose_runtime_fails_is_an_error_that_cannot_be_forced(
    finish: Finish, publish: Publish, objection: Find, answers: Answers
) -> None:
    publish(answers(1))
    finish(None)
    with pytest.raises(EngineError):
        objection()


def test_a_run_that_has_not_finished_is_an_error(objection: Find) -> None:
    with pytest.raises(WorkFolderError, match="no finished run"):
        objection()


def test_images_that_trained_the_held_version_prove_nothing(
    finish: Finish, publish: Publish, objection: Find, answers: Answers, prepared: Prepared
) -> None:
    publish(answers(2), (prepared, split(prepared.records).validation[:3]))
    finish(answers(1))
    assert objection() == (
        "It cannot be compared with lentigo 1: "
        "3 of the 72 validation images, or their lesions, trained it."
    )


def test_a_version_of_another_data_set_is_compared_if_these_images_did_not_train_it(
    finish: Finish, publish: Publish, objection: Find, answers: Answers, prepared: Prepared
) -> None:
    trained = (prepared, split(prepared.records).train)
    publish(answers(1), trained, dataset=made_manifest().dataset)
    finish(answers(2))
    assert "worse than lentigo 1" in (objection() or "")


def test_a_version_that_does_not_say_what_trained_it_must_be_of_the_same_data_set(
    finish: Finish, publish: Publish, objection: Find, answers: Answers
) -> None:
    publish(answers(2), dataset=made_manifest().dataset)
    finish(answers(1))
    assert "does not say which images trained it" in (objection() or "")


def test_without_the_prepared_images_nothing_can_be_compared(
    finish: Finish, publish: Publish, answers: Answers, run: Path, store: ModelStore, tmp_path: Path
) -> None:
    publish(answers(2))
    finish(answers(1))
    found = find_objection(run, store.root, tmp_path / "none", SilentProgress()) or ""
    assert "cannot be compared with lentigo 1: " in found
    assert "lentigo-train prepare" in found


def test_prepared_images_of_another_data_set_are_not_taken(
    finish: Finish, publish: Publish, objection: Find, answers: Answers
) -> None:
    publish(answers(2))
    finish(answers(1), dataset=made_manifest().dataset)
    assert "holds other images than those it was trained from" in (objection() or "")


def test_saved_models_are_compared_by_what_they_diagnose(
    saved_models: SavedModels,
    store: ModelStore,
    run: Path,
    prepared: Prepared,
    objection: Find,
    progress: list[str],
    tmp_path: Path,
) -> None:
    saved_models.publish(store, 1, dataset=DATASET)
    made = saved_models.publish(ModelStore(tmp_path / "made"), 2, dataset=DATASET)
    shutil.copytree(made.path, candidate_files(run))
    (run / "candidate.json").write_text(made.manifest.to_json())
    rows = split(prepared.records).validation
    colours = prepared.images[rows].mean(axis=(1, 2)) / 255
    held, ours = ((colours @ weights(seed)).argmax(axis=1) for seed in (1, 2))
    lesions = prepared.records["lesion_id"].to_numpy()[rows]
    expected = paired_balanced_accuracy(
        prepared.labels[rows], ours, held, Resampling(lesions, EVALUATION_SEED)
    )
    assert expected.value
    found = objection()
    assert any(f"balanced accuracy {100 * expected.value:+.1f} points" in line for line in progress)
    assert (found is not None) == ((expected.high or 0) < 0)
    (candidate_files(run) / "saved_model.pb").write_bytes(b"")
    with pytest.raises(DamagedVersionError):
        objection()
