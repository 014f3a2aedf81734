import errno
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lentigo_contract.errors import StorageError
from lentigo_contract.manifest.manifest import Manifest
from lentigo_contract.repository.store import ModelStore
from lentigo_trainer.errors import WorkFolderError
from lentigo_trainer.export.publishing import candidate_files, discard_candidate, publish_candidate
from tests.fakes import made_manifest

# Dies while the second file is being copied.
PUBLISH_AND_DIE = """
import os, shutil, signal, sys
from pathlib import Path
from lentigo_trainer.export.publishing import publish_candidate

copied = []
copyfile = shutil.copyfile

def copy(source, target):
    if copied:
        Path(target).write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)
    copied.append(copyfile(source, target))

shutil.copyfile = copy
publish_candidate(Path(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Return a run's folder with a candidate that can be published."""
    files = candidate_files(tmp_path / "run")
    (files / "variables").mkdir(parents=True)
    (files / "model-card.md").write_text("# A card\n")
    (files / "saved_model.pb").write_bytes(b"graph")
    (files / "variables" / "variables.index").write_bytes(bytes(100))
    (tmp_path / "run" / "candidate.json").write_text(made_manifest().to_json())
    return tmp_path / "run"


def test_every_file_of_a_candidate_is_published_and_the_candidate_stays(
    run: Path, tmp_path: Path
) -> None:
    models = tmp_path / "models"
    assert [publish_candidate(run, models).version for _ in range(2)] == [1, 2]
    stored = ModelStore(models).open(1)
    assert set(stored.manifest.files) == {
        "model-card.md",
        "saved_model.pb",
        "variables/variables.index",
    }
    assert (stored.path / "saved_model.pb").read_bytes() == b"graph"


def test_the_published_manifest_is_the_candidates(run: Path, tmp_path: Path) -> None:
    stored = publish_candidate(run, tmp_path / "models")
    candidate = Manifest.read(run / "candidate.json")
    published = {"version": stored.version, "files": stored.manifest.files}
    assert candidate.model_copy(update=published) == stored.manifest


def test_a_version_says_why_it_had_to_be_forced_and_the_candidate_does_not(
    run: Path, tmp_path: Path
) -> None:
    stored = publish_candidate(run, tmp_path / "models", "It was trained with --limit 300.")
    assert stored.manifest.forced == "It was trained with --limit 300."
    assert ModelStore(tmp_path / "models").open(1).manifest == stored.manifest
    assert publish_candidate(run, tmp_path / "models").manifest.forced is None


def test_a_run_that_has_not_finished_is_not_published(run: Path, tmp_path: Path) -> None:
    (run / "candidate.json").unlink()
    with pytest.raises(WorkFolderError, match=r"no finished run. Run `lentigo-train fit`"):
        publish_candidate(run, tmp_path / "models")
    assert not (tmp_path / "models").exists()


def test_a_discarded_candidate_is_not_published(run: Path, tmp_path: Path) -> None:
    discard_candidate(run)
    assert not candidate_files(run).exists()
    with pytest.raises(WorkFolderError):
        publish_candidate(run, tmp_path / "models")
    discard_candidate(run)


def test_a_full_disk_leaves_the_repository_unchanged(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = tmp_path / "models"
    publish_candidate(run, models)

    def copy(_source: Path, target: Path) -> None:
        target.write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shutil, "copyfile", copy)
    with pytest.raises(StorageError, match=r"No space left.*Free space"):
        publish_candidate(run, models)
    assert [path.name for path in (models / "lentigo").iterdir()] == ["1"]
    ModelStore(models).verify(1)


def test_a_killed_publisher_leaves_no_incomplete_version(run: Path, tmp_path: Path) -> None:
    models = tmp_path / "models"
    publish_candidate(run, models)
    command = [sys.executable, "-c", PUBLISH_AND_DIE, str(run), str(models)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert ModelStore(models).versions() == [1]
    assert publish_candidate(run, models).version == 2
    assert sorted(path.name for path in (models / "lentigo").iterdir()) == ["1", "2"]
