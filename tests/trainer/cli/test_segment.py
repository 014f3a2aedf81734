import json
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from lentigo_trainer.cli.main import app
from lentigo_trainer.errors import MaskError
from tests.fakes import synthetic_ham10000
from tests.made_up_lesions import disc_mask, picture

LESION = disc_mask((150, 112), 52)
WIDE = {"COLUMNS": "200", "TERM": "dumb"}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a made-up HAM10000 whose every image shows the same disc, with different noise."""
    folder = synthetic_ham10000(
        tmp_path_factory.mktemp("data") / "ham", 4, "folders", size=(40, 30)
    )
    for number, file in enumerate(sorted(folder.rglob("*.jpg"))):
        Image.fromarray(picture(LESION, number)).save(file)
    return folder


@pytest.fixture(scope="module")
def masks(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("masks")
    for name in pd.read_csv(source / "HAM10000_metadata.csv")["image_id"]:
        Image.fromarray(LESION).save(folder / f"{name}_segmentation.png")
    return folder


def run(source: Path, masks: Path, work: Path, *more: str) -> Result:
    arguments = ["--source", source, "--masks", masks, "--work", work, "--workers", "1", *more]
    return CliRunner().invoke(app, ["segment", *map(str, arguments)], env=WIDE)


def test_both_methods_are_measured(source: Path, masks: Path, tmp_path: Path) -> None:
    result = run(source, masks, tmp_path)
    assert result.exit_code == 0, result.output
    assert "Masks of 28 images" in result.output
    report = tmp_path / "segmentation" / "report"
    assert (report / "jaccard.png").read_bytes().startswith(b"\x89PNG")
    metrics = json.loads((report / "segmentation.json").read_text())
    for method in ("classical", "self-generating", "best"):
        found = metrics["methods"][method]
        assert found["all"]["jaccard"]["n"] == 28
        assert found["all"]["jaccard"]["value"] > 0.8
        assert found["mel"]["hausdorff_95"]["value"] < 12
        assert found["all"]["jaccard"]["low"] <= found["all"]["jaccard"]["value"]


def test_a_limit_measures_fewer(source: Path, masks: Path, tmp_path: Path) -> None:
    result = run(source, masks, tmp_path, "--limit", "7")
    assert result.exit_code == 0, result.output
    assert "Masks of 7 images" in result.output


def test_an_image_without_a_mask_is_named(source: Path, masks: Path, tmp_path: Path) -> None:
    lost = tmp_path / "masks"
    lost.mkdir()
    for file in sorted(masks.iterdir())[1:]:
        (lost / file.name).write_bytes(file.read_bytes())
    result = run(source, lost, tmp_path / "work")
    assert isinstance(result.exception, MaskError)
    assert "1 of 28 images have no mask" in str(result.exception)


def test_a_mask_of_another_size_is_named(source: Path, masks: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "masks"
    wrong.mkdir()
    for file in masks.iterdir():
        (wrong / file.name).write_bytes(file.read_bytes())
    first = min(wrong.iterdir())
    Image.new("1", (100, 100)).save(first)
    result = run(source, wrong, tmp_path / "work")
    assert isinstance(result.exception, MaskError)
    assert first.name.removesuffix("_segmentation.png") in str(result.exception)
