"""A version measured in process and as a running service answers: the same figures."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lentigo_contract.labels import CODES
from lentigo_contract.repository.store import ModelStore
from tests.e2e.service_process import service_process
from tests.models import SavedModels
from tests.trainer.evaluation.isic import Shown, write_archive, write_truth

SHOWN: Shown = {f"ISIC_{number:07}": CODES[number % 6] for number in range(24)}


def evaluate(folder: Path, *options: str, key: str = "") -> "subprocess.CompletedProcess[str]":
    """Run the command on the made-up images, as a user does."""
    start = "from lentigo_trainer.cli.main import main; main()"
    images = ("--images", str(folder / "images.zip"), "--truth", str(folder / "truth.csv"))
    return subprocess.run(
        [sys.executable, "-c", start, "evaluate", *images, *options],
        env={**os.environ, "NO_PROXY": "127.0.0.1", "LENTIGO_API_KEY": key},
        capture_output=True,
        text=True,
        check=False,
    )


def figures(folder: Path, *options: str) -> dict[str, Any]:
    ended = evaluate(folder, *options, "--json", str(folder / "out.json"))
    assert ended.returncode == 0, ended.stderr
    assert "Research use only. Not a medical device." in ended.stdout
    found: dict[str, Any] = json.loads((folder / "out.json").read_text())
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_archive(tmp_path / "images.zip", SHOWN)
    write_truth(tmp_path / "truth.csv", SHOWN)
    return tmp_path


def test_a_service_scores_as_its_version_does_in_process(
    folder: Path, saved_models: SavedModels
) -> None:
    store = ModelStore(folder / "models")
    stored = saved_models.publish(store, seed=1)
    model = ("--model", str(stored.path))
    here = figures(folder, *model, "--page", str(folder / "page"))
    assert here["subject"]["asked"] == "in process"
    assert here["overlap"].startswith("not checked: ")
    assert here["diagnoses"]["vasc"]["sensitivity"]["value"] is None
    assert len(here["averaged_over"]) == 6
    assert (folder / "page" / "index.html").is_file()
    with service_process(store.root) as service:
        service.logged("model in use")
        there = figures(folder, "--url", service.url, *model)
        alone = figures(folder, "--url", service.url)
    assert there["subject"]["asked"] == service.url
    same = ("confusion", "examples", "averaged_over", "intervals_over")
    assert [there[name] for name in same] == [here[name] for name in same]
    assert there["log_loss"]["value"] == pytest.approx(here["log_loss"]["value"], abs=1e-5)
    assert alone["calibration"]["before"] is None
    assert alone["confusion"] == here["confusion"]
    gone = evaluate(folder, "--url", service.url)
    assert gone.returncode == 1
    assert "does not respond" in gone.stderr
    assert "Start the service" in gone.stderr
