"""`lentigo-inference score` as it is run, beside the service, with the model that ships."""

import os
import signal
from collections.abc import Mapping
from pathlib import Path

import pytest

from lentigo_contract.labels import CODES, RESEARCH_NOTICE
from tests.e2e.scoring_runs import (
    ENGINE,
    PART,
    SHIPPED,
    as_answer,
    finished,
    of_service,
    rows_of,
    score,
    score_without,
)
from tests.e2e.service_process import DEADLINE_S, service_process
from tests.fakes import jpeg_bytes, lesion_image
from tests.images import encoded


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
    while not list((tmp_path / "out/rows").glob("part-*.parquet")):
        assert first.poll() is None, first.communicate()
    os.killpg(first.pid, signal.SIGSTOP)
    kept = len(rows_of(tmp_path / "out"))
    first.kill()
    os.killpg(first.pid, signal.SIGCONT)
    first.communicate(timeout=DEADLINE_S)
    assert first.returncode == -signal.SIGKILL
    assert PART <= kept < count

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
    run = score_without("pyarrow", str(tmp_path / "in"), tmp_path / "out")
    assert run.returncode == 1
    assert "lentigo-inference[score]" in run.stderr
