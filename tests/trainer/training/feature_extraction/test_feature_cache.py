import errno
import json
import os
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lentigo_contract.errors import StorageError
from lentigo_trainer.errors import DamagedCacheError, WeightsError, WorkFolderError
from lentigo_trainer.system.progress import SilentProgress
from lentigo_trainer.training.feature_extraction import feature_cache
from lentigo_trainer.training.feature_extraction.feature_cache import (
    FeatureFile,
    FeatureKey,
    compute_features,
)

ROWS = 2_500
KEY = FeatureKey(name="test", images="i", plan="p", backbone="t", rows=ROWS, shape=(2, 3))


class BrokenOffError(Exception):
    """Stands for a kill."""


def backbone(batch: np.ndarray) -> np.ndarray:
    return np.tile(batch[:, None, None] / 8, (1, 2, 3)).astype(np.float32)


class Rows:
    """Row numbers in batches of 16; remembers where each pass began, and may break off."""

    def __init__(self, until: int = ROWS) -> None:
        self.until = until
        self.starts: list[int] = []

    def __call__(self, first: int) -> Iterator[np.ndarray]:
        self.starts.append(first)
        for start in range(first, ROWS, 16):
            if start >= self.until:
                raise BrokenOffError
            yield np.arange(start, min(start + 16, ROWS), dtype=np.float32)


def computed(folder: Path, rows: Rows, key: FeatureKey = KEY) -> FeatureFile:
    return compute_features(backbone, rows, folder, key, SilentProgress())


def test_features_are_read_back_by_row_number(tmp_path: Path) -> None:
    found = computed(tmp_path, Rows()).take(np.array([2_499, 0, 7]))
    assert found.dtype == np.float16
    assert np.array_equal(found, backbone(np.array([2_499.0, 0, 7])).astype(np.float16))


def test_a_second_run_computes_nothing(tmp_path: Path) -> None:
    computed(tmp_path, Rows())
    again = Rows()
    computed(tmp_path, again)
    assert again.starts == []


@pytest.mark.parametrize(("until", "resumed_at"), [(600, 0), (1_100, 1_024), (2_400, 2_048)])
def test_a_killed_pass_resumes_after_its_last_finished_chunk(
    tmp_path: Path, until: int, resumed_at: int
) -> None:
    computed(tmp_path / "whole", Rows())
    with pytest.raises(BrokenOffError):
        computed(tmp_path / "killed", Rows(until))
    rest = Rows()
    computed(tmp_path / "killed", rest)
    assert rest.starts == [resumed_at]
    for name in ("features.f16", "features.jsonl"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "killed" / name).read_bytes()


def test_half_a_journal_line_is_not_trusted(tmp_path: Path) -> None:
    with pytest.raises(BrokenOffError):
        computed(tmp_path, Rows(2_100))
    journal = tmp_path / "features.jsonl"
    journal.write_bytes(journal.read_bytes()[:-4])
    rest = Rows()
    computed(tmp_path, rest)
    assert rest.starts == [1_024]


def test_a_flipped_bit_is_found_with_its_row(tmp_path: Path) -> None:
    computed(tmp_path, Rows())
    data = tmp_path / "features.f16"
    content = bytearray(data.read_bytes())
    content[1_500 * KEY.row_bytes] ^= 1
    data.write_bytes(content)
    with pytest.raises(DamagedCacheError, match=r"damaged at row 1,024.*Delete"):
        computed(tmp_path, Rows())


def test_missing_rows_are_found(tmp_path: Path) -> None:
    computed(tmp_path, Rows())
    data = tmp_path / "features.f16"
    data.write_bytes(data.read_bytes()[:-2])
    with pytest.raises(DamagedCacheError):
        computed(tmp_path, Rows())


def test_a_journal_that_is_not_json_is_damage(tmp_path: Path) -> None:
    (tmp_path / "features.jsonl").write_text("half a line of someth\n")
    with pytest.raises(DamagedCacheError):
        computed(tmp_path, Rows())


@pytest.mark.parametrize(
    "other",
    [replace(KEY, images="other"), replace(KEY, plan="other"), replace(KEY, backbone="other")],
    ids=["images", "plan", "backbone"],
)
def test_features_with_another_key_are_refused(tmp_path: Path, other: FeatureKey) -> None:
    computed(tmp_path, Rows())
    with pytest.raises(WorkFolderError, match="other images, rows or weights"):
        computed(tmp_path, Rows(), other)


def test_numbers_that_are_not_finite_never_reach_the_disk(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="overflow on the batch from row 0"):
        compute_features(
            lambda batch: backbone(batch) + np.float32(1e6), Rows(), tmp_path, KEY, SilentProgress()
        )
    assert (tmp_path / "features.f16").stat().st_size == 0


def test_the_journal_has_a_checksum_for_every_chunk(tmp_path: Path) -> None:
    computed(tmp_path, Rows())
    content = (tmp_path / "features.f16").read_bytes()
    sums = [
        zlib.crc32(content[start : start + 1_024 * KEY.row_bytes])
        for start in range(0, len(content), 1_024 * KEY.row_bytes)
    ]
    lines = (tmp_path / "features.jsonl").read_text().splitlines()[1:]
    assert [f'"crc32": {crc}' in line for crc, line in zip(sums, lines, strict=True)] == [True] * 3


def test_reading_releases_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_cache, "_RELEASE_BYTES", 100)
    stored = computed(tmp_path, Rows())
    for _ in range(20):
        assert stored.take(np.arange(50)).shape == (50, 2, 3)


@pytest.mark.parametrize("line", ['{"rows": 1024}', "7", "[]", "half a li"])
def test_a_journal_with_a_line_of_another_kind_is_damage(tmp_path: Path, line: str) -> None:
    computed(tmp_path, Rows())
    with (tmp_path / "features.jsonl").open("a") as journal:
        journal.write(line + "\n")
    with pytest.raises(DamagedCacheError, match="Delete"):
        computed(tmp_path, Rows())


def test_a_journal_without_its_features_is_damage(tmp_path: Path) -> None:
    computed(tmp_path, Rows())
    (tmp_path / "features.f16").unlink()
    with pytest.raises(DamagedCacheError, match="Delete"):
        computed(tmp_path, Rows())


def test_a_full_disk_in_the_middle_of_a_pass_keeps_the_finished_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed = []

    def full(descriptor: int) -> None:
        flushed.append(descriptor)
        if len(flushed) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    # Each chunk is flushed, and then the line that vouches for it: the second chunk fails.
    monkeypatch.setattr(os, "fsync", full)
    (tmp_path / "features.jsonl").write_text(json.dumps(KEY.header()) + "\n")
    with pytest.raises(StorageError, match=r"full. Free some space.*what is finished is kept"):
        computed(tmp_path, Rows())
    monkeypatch.undo()
    rest = Rows()
    found = computed(tmp_path, rest)
    assert rest.starts == [1_024]
    every = np.arange(ROWS)
    assert np.array_equal(found.take(every), backbone(every.astype(np.float32)).astype(np.float16))


def test_the_journal_begins_with_the_keys_of_older_versions(tmp_path: Path) -> None:
    computed(tmp_path, Rows())
    first = (tmp_path / "features.jsonl").read_text().splitlines()[0]
    assert json.loads(first) == {
        "name": "test",
        "images": "i",
        "plan": "p",
        "trunk": "t",
        "rows": ROWS,
        "shape": [2, 3],
    }
