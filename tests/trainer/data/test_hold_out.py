import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lentigo_contract.labels import CODES
from lentigo_trainer.data.ham10000 import read_metadata
from lentigo_trainer.data.splits import Parts, Rows, parts_of, split
from lentigo_trainer.errors import MetadataError
from tests.trainer.published import published_records

HAM10000 = os.environ.get("LENTIGO_HAM10000")


def lesions(table: pd.DataFrame, rows: Rows) -> set[str]:
    return set(table["lesion_id"].to_numpy()[rows])


def sides(parts: Parts) -> tuple[Rows, Rows, Rows]:
    return parts.train, parts.tuning, parts.hold_out


def test_fifteen_percent_of_the_training_lesions_are_held_out_and_eight_of_the_rest_tune() -> None:
    table = published_records()
    papers = split(table)
    train, tuning, hold_out = (len(lesions(table, s)) for s in sides(parts_of(papers.train, table)))
    total = len(lesions(table, papers.train))
    assert train + tuning + hold_out == total
    assert hold_out / total == pytest.approx(0.15, abs=0.002)
    assert tuning / (train + tuning) == pytest.approx(0.08, abs=0.002)


@given(st.lists(st.integers(1, 4), min_size=140, max_size=200))
def test_no_lesion_is_in_two_parts_and_no_image_is_lost(images_of_lesions: list[int]) -> None:
    numbers = [n for n, images in enumerate(images_of_lesions) for _ in range(images)]
    table = pd.DataFrame(
        {
            "lesion_id": [f"L{n}" for n in numbers],
            "image_id": [f"I{row}" for row in range(len(numbers))],
            "dx": [CODES[n % 7] for n in numbers],
        }
    )
    parts = parts_of(np.arange(len(table)), table)
    together = np.concatenate(sides(parts))
    assert sorted(together) == list(range(len(table)))
    named = [lesions(table, side) for side in sides(parts)]
    assert sum(map(len, named)) == len(set.union(*named))


def test_a_hold_out_does_not_change_the_papers_validation_images() -> None:
    table = published_records()
    papers = split(table)
    held = lesions(table, papers.validation)
    for side in sides(parts_of(papers.train, table)):
        assert not held & lesions(table, side)


def test_every_diagnosis_is_held_out_in_the_same_share() -> None:
    table = published_records()
    train = split(table).train
    of_class = table.iloc[train].groupby("dx")["lesion_id"].nunique()
    held = table.iloc[parts_of(train, table).hold_out].groupby("dx")["lesion_id"].nunique()
    assert [held[code] for code in CODES] == [
        max(1, round(0.15 * of_class[code])) for code in CODES
    ]


def test_the_order_of_the_images_does_not_matter() -> None:
    table = published_records()
    turned = table.iloc[::-1].reset_index(drop=True)
    straight = parts_of(np.arange(len(table)), table)
    reverse = parts_of(np.arange(len(table)), turned)
    assert lesions(table, straight.hold_out) == lesions(turned, reverse.hold_out)
    assert lesions(table, straight.tuning) == lesions(turned, reverse.tuning)


def test_a_diagnosis_with_too_few_lesions_is_named() -> None:
    table = published_records()
    few = np.flatnonzero(table["lesion_id"].isin(["df-0", "df-1"]))
    with pytest.raises(MetadataError, match="three lesions of df among the training images"):
        parts_of(few, table)


@pytest.mark.skipif(HAM10000 is None, reason="LENTIGO_HAM10000 names no folder with HAM10000")
def test_the_real_hold_out_has_1353_images_of_980_lesions() -> None:
    table = read_metadata(Path(HAM10000 or "") / "HAM10000_metadata.csv")
    parts = parts_of(split(table).train, table)
    assert [len(side) for side in sides(parts)] == [7_117, 607, 1_353]
    assert len(lesions(table, parts.hold_out)) == 980
