import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lentigo_contract.labels import CODES
from lentigo_trainer.data.ham10000 import read_metadata
from lentigo_trainer.data.splits import Split, limited, split
from lentigo_trainer.errors import MetadataError
from tests.trainer.published import IMAGES, VALIDATION, published_records

HAM10000 = os.environ.get("LENTIGO_HAM10000")


def counts(table: pd.DataFrame, rows: np.ndarray) -> dict[str, int]:
    return {code: int((table["dx"].to_numpy()[rows] == code).sum()) for code in CODES}


def test_938_images_validate_and_9077_train() -> None:
    table = published_records()
    drawn = split(table)
    assert (len(drawn.train), len(drawn.validation)) == (9_077, 938)
    assert counts(table, drawn.validation) == VALIDATION
    assert counts(table, drawn.train) == {c: IMAGES[c] - VALIDATION[c] for c in CODES}


@pytest.mark.skipif(HAM10000 is None, reason="LENTIGO_HAM10000 names no folder with HAM10000")
def test_the_real_metadata_give_the_published_split() -> None:
    table = read_metadata(Path(HAM10000 or "") / "HAM10000_metadata.csv")
    drawn = split(table)
    assert counts(table, drawn.validation) == VALIDATION
    assert len(drawn.train) == 9_077


def test_the_split_is_the_same_every_time() -> None:
    table = published_records()
    assert np.array_equal(split(table).validation, split(table).validation)


@given(st.lists(st.integers(1, 3), min_size=140, max_size=200))
def test_no_lesion_stands_on_both_sides(images_of_lesions: list[int]) -> None:
    lesions = [n for n, images in enumerate(images_of_lesions) for _ in range(images)]
    # The first 28 lesions have one image each, so every class has some to draw from.
    lesions = [*range(1000, 1028), *lesions]
    table = pd.DataFrame(
        {
            "lesion_id": [f"L{n}" for n in lesions],
            "image_id": [f"I{n}" for n in range(len(lesions))],
            "dx": [CODES[n % 7] for n in lesions],
        }
    )
    drawn = split(table)
    sides = [set(table["lesion_id"].to_numpy()[rows]) for rows in (drawn.train, drawn.validation)]
    assert not sides[0] & sides[1]
    assert sorted([*drawn.train, *drawn.validation]) == list(range(len(table)))


def test_too_few_lesions_with_one_image_are_an_error() -> None:
    table = pd.DataFrame({"lesion_id": ["a", "b"], "image_id": ["1", "2"], "dx": ["nv", "mel"]})
    with pytest.raises(MetadataError, match="single image"):
        split(table)


def test_a_limit_keeps_both_sides_apart_and_every_class() -> None:
    table = published_records()
    whole = split(table)
    some = limited(whole, table, 300, seed=1)
    assert set(some.train) <= set(whole.train)
    assert set(some.validation) <= set(whole.validation)
    assert min(counts(table, some.train).values()) >= 2
    assert min(counts(table, some.validation).values()) >= 1
    assert len(some.train) + len(some.validation) == pytest.approx(300, abs=10)


def test_a_limit_is_drawn_from_its_seed() -> None:
    table = published_records()
    whole = split(table)
    first, again, other = (limited(whole, table, 300, seed) for seed in (1, 1, 2))
    assert np.array_equal(first.train, again.train)
    assert not np.array_equal(first.train, other.train)


def test_a_limit_above_the_data_set_takes_all_of_it() -> None:
    table = published_records()
    whole = split(table)
    assert np.array_equal(limited(whole, table, 99_999, seed=1).train, whole.train)


def test_a_limit_takes_images_of_different_lesions_first() -> None:
    table = pd.DataFrame(
        {"lesion_id": ["a", "a", "a", "b", "c"], "image_id": list("12345"), "dx": ["nv"] * 5}
    )
    whole = Split(train=np.arange(5), validation=np.array([], np.intp))
    for seed in range(20):
        chosen = limited(whole, table, 3, seed).train
        assert set(table["lesion_id"][chosen]) == {"a", "b", "c"}
