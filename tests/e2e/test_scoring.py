"""`lentigo-inference score` as it is run, beside the service, with the model that ships."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq
import pytest

from lentigo_contract.labels import CODES, RESEARCH_NOTICE
from tests.e2e.service_process import COMMAND, DEADLINE_S, environment, service_process
from tests.fakes import jpeg_bytes, lesion_image
from tests.images import encoded

SHIPPED: Final = Path(__file__).parents[2] / "models"
ENGINE: Final = "litert-int8"
PART: Final = 20


def score(source: Path, to: Path, *options: str, **settings: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, "score", str(source), "--to", str(to), "--part-size", str(PART), *options],
        env=environment(SHIPPED, LENTIGO_ENGINE=ENGINE, **settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finished(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=DEADLINE_S)
    return process.returncode, out, err


def rows_of(to: Path) -> list[dict[str, Any]]:
    parts = sorted((to / "rows").glob("part-*.parquet"))
    return [row for part in parts for row in pq.read_table(part).to_pylist()]


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def mixed_files() -> dict[str, bytes]:
    """Every diagnosis, other formats, images that cannot be judged, and some that are none."""
    files = {
        f"{code}-{seed}.jpg": jpeg_bytes(lesion_image(seed, code, (300, 225)))
        for code in CODES
        for seed in range(3)
    }
    lesion = lesion_image(9, "mel", (640, 480))
    return {
        **files,
        "a.png": encoded(lesion, "PNG"),
        "b.webp": encoded(lesion, "WEBP"),
        "c.tif": encoded(lesion, "TIFF"),
        "d-small.jpg": jpeg_bytes(lesion.resize((90, 90))),
        "e-dark.jpg": jpeg_bytes(lesion.point([value // 20 for value in range(256)] * 3)),
        "f-cut.jpg": jpeg_bytes(lesion)[:900],
        "g-empty.jpg": b"",
        "h-tiny.png": encoded(lesion.resize((10, 10)), "PNG"),
    }


def as_answer(row: dict[str, Any]) -> dict[str, Any]:
    """Give a row in the form of the service's JSON, as far as both say the same things."""
    shares = {code: row[f"probability_{code}"] for code in CODES}
    told = row["diagnosis"] is not None
    return {
        "sha256": row["sha256"],
        "size": (row["format"], row["width"], row["height"]),
        "quality": (row["accepted"], row["refusal"], row["unlikeness"], row["unlikeness_limit"]),
        "diagnosis": (row["diagnosis"], row["diagnosis_probability"]),
        "decided": (row["decided_by"], row["confident"]),
        "most_probable": row["most_probable"],
        "probabilities": shares if told else {},
        "malignancy": (row["malignancy"], row["malignancy_threshold"]),
        "refer": (row["refer"], row["refer_reasons"]),
        "model": (str(row["model_version"]), row["model_sha256"], row["engine"]),
    }


def of_service(answer: dict[str, Any]) -> dict[str, Any]:
    diagnosis = answer["diagnosis"] or {}
    most_probable = answer.get("most_probable") or answer["diagnosis"] or {}
    image, quality = answer["image"], answer["quality"]
    malignancy, model = answer["malignancy"], answer["model"]
    return {
        "sha256": image["sha256"],
        "size": (image["format"], image["width"], image["height"]),
        "quality": (
            quality["accepted"],
            quality["reasons"],
            quality["unlikeness"],
            quality["unlikeness_limit"],
        ),
        "diagnosis": (diagnosis.get("code"), diagnosis.get("probability")),
        "decided": (diagnosis.get("decided_by"), diagnosis.get("confident")),
        "most_probable": most_probable.get("code"),
        "probabilities": {each["code"]: each["probability"] for each in answer["probabilities"]},
        "malignancy": (malignancy["probability"], malignancy["threshold"]),
        "refer": (malignancy["refer"], malignancy["reasons"]),
        "model": (model["version"], model["digest"], model["engine"]),
    }


def test_rows_are_the_answers_of_the_service_to_the_bit(tmp_path: Path) -> None:
    files = mixed_files()
    source = write(tmp_path / "in", files)
    code, out, err = finished(score(source, tmp_path / "out", "--workers", "2"))
    assert code == 0, err
    assert RESEARCH_NOTICE in out
    rows = {row["path"]: row for row in rows_of(tmp_path / "out")}
    assert sorted(rows) == sorted(files)
    # Two threads there and one here: it makes no difference to an answer.
    with service_process(SHIPPED, LENTIGO_ENGINE=ENGINE, LENTIGO_ENGINE_THREADS="2") as service:
        service.logged("model in use")
        for name, data in files.items():
            response = service.client.post(
                "/v1/predictions",
                content=data,
                headers={"Content-Type": "application/octet-stream"},
            )
            row = rows[name]
            if response.is_success:
                assert as_answer(row) == of_service(response.json()), name
            else:
                assert response.json()["type"] == f"urn:lentigo:problem:{row['error']}", name
    assert {row["error"] for row in rows.values()} == {
        None,
        "undecodable-image",
        "empty-image",
        "image-bounds",
    }
    refused = {reason for row in rows.values() for reason in row["refusal"]}
    assert {"too-small", "too-dark"} <= refused
    page = (tmp_path / "out/summary.html").read_text()
    assert RESEARCH_NOTICE in page
    assert f"{len(files)} images" in page


def test_a_driver_that_is_killed_goes_on_with_the_same_command(tmp_path: Path) -> None:
    count = 8 * PART
    lesion = jpeg_bytes(lesion_image(1))
    source = write(tmp_path / "in", {f"{number:03}.jpg": lesion for number in range(count)})
    first = score(source, tmp_path / "out", "--workers", "1")
    part = tmp_path / "out/rows/part-00001.parquet"
    while not part.exists():
        assert first.poll() is None, first.communicate()
    os.killpg(first.pid, signal.SIGSTOP)
    kept = len(rows_of(tmp_path / "out"))
    first.kill()
    os.killpg(first.pid, signal.SIGCONT)
    first.communicate(timeout=DEADLINE_S)
    assert first.returncode == -signal.SIGKILL
    assert 2 * PART <= kept < count

    code, _, err = finished(score(source, tmp_path / "out", "--workers", "2"))
    assert code == 0, err
    assert [row["item"] for row in rows_of(tmp_path / "out")] == list(range(count))
    assert f"{kept:,} from before" in err

    code, out, _ = finished(score(source, tmp_path / "out"))
    assert code == 0
    assert "is finished" in out


def test_sigterm_ends_it_with_one_line(tmp_path: Path) -> None:
    lesion = jpeg_bytes(lesion_image(1))
    source = write(tmp_path / "in", {f"{number:03}.jpg": lesion for number in range(200)})
    process = score(source, tmp_path / "out", "--workers", "1")
    while not (tmp_path / "out/rows/part-00000.parquet").exists():
        assert process.poll() is None, process.communicate()
    process.terminate()
    code, out, err = finished(process)
    assert code == 1
    assert out == ""
    assert err.splitlines()[-1] == (
        "lentigo-inference: Stopped. What is finished is kept; the same command goes on from there."
    )


@pytest.mark.parametrize(
    ("source", "options", "line"),
    [
        ("nowhere", (), "does not exist"),
        ("in", ("--ray", "127.0.0.1:1"), "no Ray cluster at 127.0.0.1:1"),
    ],
)
def test_what_cannot_begin_is_one_line(
    tmp_path: Path, source: str, options: tuple[str, ...], line: str
) -> None:
    if "--ray" in options:
        pytest.importorskip("ray", reason="Ray is not installed: pip install ray==2.60.0")
    write(tmp_path / "in", {"a.jpg": jpeg_bytes()})
    code, _, err = finished(score(tmp_path / source, tmp_path / "out", *options))
    assert code == 1
    assert line in err.splitlines()[-1]
    assert "Traceback" not in err


def test_settings_that_cannot_be_used_are_a_wrong_usage(tmp_path: Path) -> None:
    write(tmp_path / "in", {"a.jpg": jpeg_bytes()})
    process = score(tmp_path / "in", tmp_path / "out", LENTIGO_MAX_PIXELS="few")
    code, _, err = finished(process)
    assert code == 2
    assert "LENTIGO_MAX_PIXELS" in err


def test_without_pyarrow_it_says_what_to_install(tmp_path: Path) -> None:
    write(tmp_path / "in", {"a.jpg": jpeg_bytes()})
    hidden = "import sys; sys.modules['pyarrow'] = None; from lentigo_inference.cli import main; "
    arguments = ["score", str(tmp_path / "in"), "--to", str(tmp_path / "out")]
    run = subprocess.run(
        [sys.executable, "-c", f"{hidden}sys.exit(main({arguments!r}))"],
        env=environment(SHIPPED),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert run.returncode == 1
    assert "lentigo-inference[score]" in run.stderr
