import os
import re
from pathlib import Path

import pytest

from lentigo_contract.labels import CODES
from lentigo_inference.cli import main
from lentigo_inference.errors import PrevalenceFileError
from lentigo_inference.serving.prevalence import read_prevalence

SHARES = {
    "akiec": 0.03,
    "bcc": 0.05,
    "bkl": 0.11,
    "df": 0.01,
    "mel": 0.11,
    "nv": 0.67,
    "vasc": 0.02,
}


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "clinic.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def lines(**changes: object) -> str:
    return "".join(f"{code} = {share}\n" for code, share in {**SHARES, **changes}.items())


def test_seven_shares_are_read_in_the_order_of_the_labels(tmp_path: Path) -> None:
    text = "# Counted in 2025.\n" + "".join(reversed(lines().splitlines(keepends=True)))
    found = read_prevalence(written(tmp_path, text))
    assert list(found) == list(CODES)
    assert found == pytest.approx(SHARES)


def test_shares_that_were_rounded_are_scaled_to_one(tmp_path: Path) -> None:
    found = read_prevalence(written(tmp_path, lines(nv=0.6705)))
    assert sum(found.values()) == pytest.approx(1, abs=1e-12)
    assert found["nv"] == pytest.approx(0.6705 / 1.0005)


BAD = [
    (lines(nv=0.77), "the shares sum to 1.1, and must sum to 1"),
    (lines(nv=0.672), "must sum to 1"),
    (lines(nv=0), "the share of nv is 0"),
    (lines(nv=0.69, df=-0.01), "the share of df is -0.01"),
    (lines(nv="nan"), "nv: Input should be a finite number"),
    (lines(nv="inf"), "nv: Input should be a finite number"),
    (lines(nv='"0.67"'), "nv: Input should be a valid number"),
    (lines(nv="true"), "nv: Input should be a valid number"),
    (lines(nv="[0.67]"), "nv: Input should be a valid number"),
    (lines(scc=0.0), "scc: not a diagnosis; they are akiec, bcc"),
    (f"[prevalence]\n{lines()}", "prevalence: Input should be a valid number"),
    ("".join(lines().splitlines(keepends=True)[:6]), "no share of vasc"),
    ("", "no share of akiec, bcc"),
    ("nv: 0.67\n", "is not TOML"),
    (lines() + "nv = 0.67\n", "is not TOML"),
    (b"\xff\xfe\x00", "is not TOML"),
    ("#" * 70_000, "is no prevalence"),
    ("a=" + "[" * 5000, "is not TOML"),
]


@pytest.mark.parametrize(("text", "why"), BAD, ids=[why for _, why in BAD])
def test_anything_else_is_refused_in_one_line(tmp_path: Path, text: str | bytes, why: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(PrevalenceFileError, match=re.escape(why)) as refused:
        read_prevalence(path)
    assert str(path) in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PrevalenceFileError, match=r"missing\.toml.*No such file"):
        read_prevalence(tmp_path / "missing.toml")


def test_a_folder_or_a_pipe_is_not_read(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (tmp_path, pipe):
        with pytest.raises(PrevalenceFileError, match="is not a file"):
            read_prevalence(path)


def test_the_service_does_not_start_with_a_bad_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LENTIGO_PORT", "0")
    monkeypatch.setenv("LENTIGO_PREVALENCE", str(written(tmp_path, lines(nv=0.77))))
    assert main([]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "sum to 1.1" in line
    assert "nv = 0.67" in line


def test_an_unknown_decision_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LENTIGO_DECISION", "boldly")
    assert main([]) == 2
    assert "LENTIGO_DECISION" in capsys.readouterr().err
