from pathlib import Path

import pytest

from lentigo_contract.repository.store import ModelStore
from lentigo_inference.cli import main
from tests.contract.versions import fill_made_version


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    ModelStore(tmp_path / "shipped").publish(fill_made_version)
    return tmp_path / "shipped"


@pytest.fixture
def volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LENTIGO_MODEL_REPOSITORY", str(tmp_path / "volume"))
    return tmp_path / "volume"


def test_an_empty_volume_is_seeded_and_a_second_start_leaves_it(
    shipped: Path, volume: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["seed", str(shipped)]) == 0
    assert capsys.readouterr().out == f"Published version 1 in {volume / 'lentigo/1'}.\n"
    assert main(["seed", str(shipped)]) == 0
    assert "left as it is" in capsys.readouterr().out
    assert ModelStore(volume).versions() == [1]


def test_an_unwritable_volume_is_one_line(
    shipped: Path, volume: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    volume.write_text("in the way")
    assert main(["seed", str(shipped)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("lentigo-inference: ")
    assert volume.read_text() == "in the way"


def test_a_missing_source_is_one_line(
    volume: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["seed", str(tmp_path / "nowhere")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "no version to begin with" in line
    assert not volume.exists()
