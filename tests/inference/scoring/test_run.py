"""One row for each image, whatever ends on the way."""

import errno
import os
import random
from pathlib import Path

import pytest

from lentigo_inference.errors import ResultFolderError, ScoringStoppedError, SourceError
from lentigo_inference.scoring.items import Task
from lentigo_inference.scoring.rows import WORKER_ENDED
from lentigo_inference.scoring.summary import summarize
from tests.fakes import made_unlikeness
from tests.inference.scoring.scoring_parts import (
    PART_SIZE,
    Bench,
    column,
    lesions,
    rows_of,
    write_folder,
    write_tar,
    write_zip,
)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_every_image_has_one_row_in_the_order_of_the_source(bench: Bench, tmp_path: Path) -> None:
    files = lesions(45)
    source = write_folder(tmp_path / "in", files)
    _, watch = bench.score(source, tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    assert column(rows, "item") == list(range(45))
    assert column(rows, "path") == sorted(files)
    assert watch.scored == 45
    assert watch.failed == 0
    assert len(list((tmp_path / "out/rows").iterdir())) == 5


def test_the_kind_of_archive_does_not_change_an_answer(bench: Bench, tmp_path: Path) -> None:
    files = lesions(12)
    (tmp_path / "t").mkdir()
    table = tmp_path / "t/list.csv"
    table.write_text("path\n" + "".join(f"{name}\n" for name in files))
    write_folder(tmp_path / "t", files)
    sources = {
        "folder": write_folder(tmp_path / "in", files),
        "zip": write_zip(tmp_path / "in.zip", files),
        "tar": write_tar(tmp_path / "in.tar.gz", files),
        "table": table,
    }
    for name, source in sources.items():
        bench.score(source, tmp_path / "out" / name)
    first, *others = (rows_of(tmp_path / "out" / name) for name in sources)
    assert len(first) == 12
    assert all(other == first for other in others)


def test_a_broken_image_is_a_row_and_costs_no_other(bench: Bench, tmp_path: Path) -> None:
    files = lesions(30)
    files["lesion-0013.jpg"] = files["lesion-0013.jpg"][:400]
    files["lesion-0017.jpg"] = b""
    files["lesion-0019.jpg"] = b"GIF89a"
    _, watch = bench.score(write_folder(tmp_path / "in", files), tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    errors = {row["item"]: row["error"] for row in rows if row["error"]}
    assert errors == {13: "undecodable-image", 17: "empty-image", 19: "unsupported-image"}
    assert rows[13]["sha256"]
    assert rows[13]["diagnosis"] is None
    assert watch.failed == 3
    assert all(row["diagnosis"] for row in rows if not row["error"])


def test_an_image_that_cannot_be_judged_says_why_and_is_referred(tmp_path: Path) -> None:
    bench = Bench(tmp_path, unlikeness=made_unlikeness(limit=1e-9))
    bench.score(write_folder(tmp_path / "in", lesions(3)), tmp_path / "out")
    for row in rows_of(tmp_path / "out"):
        if row["unlikeness"] > row["unlikeness_limit"]:
            assert row["refusal"] == ["unlike-training-images"]
            assert row["refer"] is True
            assert row["diagnosis"] is None
            assert row["probability_mel"] is None
        else:
            assert row["accepted"] is True


def test_the_same_image_under_two_paths_is_two_rows_with_one_digest(
    bench: Bench, tmp_path: Path
) -> None:
    (image,) = lesions(1).values()
    bench.score(write_folder(tmp_path / "in", {"a.jpg": image, "b.jpg": image}), tmp_path / "out")
    first, second = rows_of(tmp_path / "out")
    assert (first["path"], second["path"]) == ("a.jpg", "b.jpg")
    same = set(first) - {"path", "item"}
    assert all(first[name] == second[name] for name in same)


@pytest.mark.parametrize("seed", range(8))
def test_no_row_is_lost_or_doubled_when_workers_end_at_random(
    bench: Bench, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    source = write_folder(tmp_path / "in", lesions(40))
    # A single image is never given up here: that takes three ends.
    bench.score(
        source, tmp_path / "out", loses=lambda task: not task.losses and chance.random() < 0.5
    )
    rows = rows_of(tmp_path / "out")
    assert column(rows, "item") == list(range(40))
    assert set(column(rows, "error")) == {None}


def test_an_image_that_ends_every_worker_is_given_up_and_the_others_are_not(
    bench: Bench, tmp_path: Path
) -> None:
    source = write_folder(tmp_path / "in", lesions(25))
    tried: list[Task] = []

    def ends(task: Task) -> bool:
        poisoned = any(item.number == 14 for item in task.items)
        tried.extend([task] if poisoned else [])
        return poisoned

    bench.score(source, tmp_path / "out", loses=ends)
    rows = rows_of(tmp_path / "out")
    assert column(rows, "item") == list(range(25))
    assert {row["item"]: row["error"] for row in rows if row["error"]} == {14: WORKER_ENDED}
    assert [len(task.items) for task in tried[-3:]] == [1, 1, 1]


def test_a_stopped_run_goes_on_where_it_stopped(bench: Bench, tmp_path: Path) -> None:
    source = write_folder(tmp_path / "in", lesions(60))
    looks = iter(range(10**6))

    def stopped() -> None:
        if next(looks) > 4:
            raise ScoringStoppedError("Stopped.")

    with pytest.raises(ScoringStoppedError):
        bench.score(source, tmp_path / "out", stopped=stopped)
    kept = rows_of(tmp_path / "out")
    assert 0 < len(kept) < 60
    workers, watch = bench.score(source, tmp_path / "out")
    assert column(rows_of(tmp_path / "out"), "item") == list(range(60))
    assert set(workers.scored).isdisjoint(column(kept, "item"))
    assert watch.skipped == len(kept)


def test_an_archive_that_ends_in_the_middle_is_scored_so_far_and_then_to_its_end(
    bench: Bench, tmp_path: Path
) -> None:
    archive = write_tar(tmp_path / "in.tar", lesions(35))
    whole = archive.read_bytes()
    archive.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError, match="ends in the middle"):
        bench.score(archive, tmp_path / "out")
    kept = column(rows_of(tmp_path / "out"), "item")
    assert kept == list(range(len(kept)))
    assert PART_SIZE < len(kept) < 35
    archive.write_bytes(whole)
    workers, _ = bench.score(archive, tmp_path / "out")
    assert column(rows_of(tmp_path / "out"), "item") == list(range(35))
    # What was in whole parts is not scored again.
    assert min(workers.scored) == len(kept) // PART_SIZE * PART_SIZE


def test_a_source_with_other_images_is_refused(bench: Bench, tmp_path: Path) -> None:
    source = write_folder(tmp_path / "in", lesions(20))
    bench.score(source, tmp_path / "out")
    before = rows_of(tmp_path / "out")
    (source / "lesion-0003.jpg").write_bytes(b"another")
    with pytest.raises(ResultFolderError, match=r"not what it was: part 0"):
        bench.score(source, tmp_path / "out")
    assert rows_of(tmp_path / "out") == before


def test_a_folder_of_another_run_is_refused_and_says_what_differs(
    bench: Bench, tmp_path: Path
) -> None:
    bench.score(write_folder(tmp_path / "in", lesions(3)), tmp_path / "out")
    with pytest.raises(ResultFolderError, match=r"part_size was 10 and is 7"):
        bench.score(tmp_path / "in", tmp_path / "out", part_size=7)
    other = write_folder(tmp_path / "other", lesions(3))
    with pytest.raises(ResultFolderError, match=r"source\.path was .*in.* and is .*other"):
        bench.score(other, tmp_path / "out")


def test_a_second_process_is_kept_out(bench: Bench, tmp_path: Path) -> None:
    source = write_folder(tmp_path / "in", lesions(3))

    def second() -> None:
        with pytest.raises(ResultFolderError, match="Another process"):
            bench.score(source, tmp_path / "out")

    bench.score(source, tmp_path / "out", stopped=second)


def test_a_full_disk_is_one_line_and_keeps_what_is_finished(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_folder(tmp_path / "in", lesions(40))
    written = iter(range(100))
    really = os.fsync

    def full(descriptor: int) -> None:
        # One for what the run is, and two parts.
        if next(written) >= 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        really(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ResultFolderError, match=r"disk of .* is full"):
        bench.score(source, tmp_path / "out")
    monkeypatch.undo()
    assert len(rows_of(tmp_path / "out")) == 2 * PART_SIZE
    bench.score(source, tmp_path / "out")
    assert column(rows_of(tmp_path / "out"), "item") == list(range(40))


def test_the_summary_counts_every_row(bench: Bench, tmp_path: Path) -> None:
    files = {**lesions(20), "broken.jpg": b"x"}
    bench.score(write_folder(tmp_path / "in", files), tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    summary = summarize(sorted((tmp_path / "out/rows").iterdir()))
    assert summary.images == 21
    assert summary.errors == {"unsupported-image": 1}
    assert summary.answered == sum(row["diagnosis"] is not None for row in rows)
    assert summary.refer == sum(row["refer"] is True for row in rows)
    assert sum(summary.malignancy) == summary.answered
