from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from lentigo_trainer.cli.main import app
from lentigo_trainer.data.duplicates.search import find_duplicates, write_duplicates
from lentigo_trainer.data.ham10000 import find_source
from lentigo_trainer.errors import DamagedImagesError
from lentigo_trainer.system.progress import SilentProgress
from tests.trainer.data.duplicates.textures import texture, turned, write_source

SILENT = SilentProgress()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight lesions of one image; two of them are there again, one turned and one mirrored."""
    images = [(f"I{seed}", f"L{seed}", texture(seed)) for seed in range(8)]
    images += [
        ("turned", "L8", turned(texture(2), 40)),
        ("mirrored", "L9", texture(5)[:, ::-1]),
        ("same-lesion", "L7", turned(texture(7), 10)),
    ]
    return write_source(tmp_path_factory.mktemp("textures") / "ham", images)


def test_a_lesion_under_two_ids_is_found_turned_and_mirrored(source: Path) -> None:
    found = find_duplicates(find_source(source), 2, SILENT)
    pairs = found.pairs.set_index(["image_a", "image_b"])
    assert set(pairs.index) == {("I2", "turned"), ("I5", "mirrored")}
    assert list(pairs["mirrored"].loc[[("I2", "turned"), ("I5", "mirrored")]]) == [False, True]
    assert (found.images, found.lesions, found.merged) == (11, 10, 8)


def test_a_search_is_repeatable(source: Path) -> None:
    one, two = (find_duplicates(find_source(source), workers, SILENT) for workers in (1, 2))
    pd.testing.assert_frame_equal(one.pairs, two.pairs)


def test_the_list_says_when_and_how_it_was_made(source: Path, tmp_path: Path) -> None:
    found = find_duplicates(find_source(source), 1, SILENT)
    path = tmp_path / "found.csv"
    write_duplicates(path, found, datetime(2026, 11, 29, tzinfo=UTC))
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# 2 pairs of images")
    assert "2026-11-29" in text
    pd.testing.assert_frame_equal(pd.read_csv(path, comment="#"), found.pairs)


def test_the_command_shows_the_pairs_and_keeps_the_list(source: Path, tmp_path: Path) -> None:
    path = tmp_path / "found.csv"
    options = ["duplicates", "--source", str(source), "--csv", str(path)]
    ended = CliRunner().invoke(app, options, env={"COLUMNS": "200"}, catch_exceptions=False)
    assert ended.exit_code == 0
    assert "2 pairs of images join 10 lesion ids to 8 lesions" in ended.stdout
    assert "turned" in ended.stdout
    assert path.exists()


def test_damaged_images_are_named(tmp_path: Path) -> None:
    folder = write_source(tmp_path / "ham", [("good", "a", texture(1)), ("bad", "b", texture(2))])
    (folder / "HAM10000_images_part_1" / "bad.jpg").write_bytes(b"\xff\xd8 no image")
    with pytest.raises(DamagedImagesError, match="1 of 2 images cannot be read: bad"):
        find_duplicates(find_source(folder), 1, SILENT)
