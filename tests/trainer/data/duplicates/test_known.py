import random

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from lentigo_trainer.data.duplicates.known import (
    COLUMNS,
    known_duplicates,
    merged_lesions,
    shown_elsewhere,
)


def metadata(**lesion_of: str) -> pd.DataFrame:
    return pd.DataFrame({"image_id": list(lesion_of), "lesion_id": list(lesion_of.values())})


def pairs(*names: tuple[str, str]) -> pd.DataFrame:
    return pd.DataFrame(names, columns=["image_a", "image_b"])


def test_a_pair_joins_all_images_of_both_lesions() -> None:
    table = metadata(i1="L2", i2="L2", i3="L1", i4="L1", i5="L3")
    assert [*merged_lesions(table, pairs(("i2", "i4")))] == ["L1", "L1", "L1", "L1", "L3"]


def test_lesions_join_over_several_pairs_and_over_an_image_that_is_not_there() -> None:
    table = metadata(i1="L1", i2="L2", i3="L3", i4="L4")
    chain = pairs(("i1", "i2"), ("i2", "absent"), ("absent", "i3"))
    assert [*merged_lesions(table, chain)] == ["L1", "L1", "L1", "L4"]


def test_images_that_are_not_listed_keep_their_lesion() -> None:
    table = metadata(a="one", b="two", c="two")
    assert [*merged_lesions(table)] == ["one", "two", "two"]


def test_an_image_may_have_the_name_of_a_lesion() -> None:
    table = metadata(one="two", two="one")
    assert [*merged_lesions(table, pairs())] == ["two", "one"]


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=20),
    st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=12),
    st.randoms(use_true_random=False),
)
def test_the_order_of_rows_and_pairs_does_not_matter(
    lesions: list[int], joined: list[tuple[int, int]], order: random.Random
) -> None:
    table = pd.DataFrame(
        {
            "image_id": [f"i{row}" for row in range(len(lesions))],
            "lesion_id": [f"L{lesion}" for lesion in lesions],
        }
    )
    names = [(f"i{a}", f"i{b}") for a, b in joined]
    straight = dict(zip(table["image_id"], merged_lesions(table, pairs(*names)), strict=True))
    order.shuffle(names)
    turned = table.iloc[order.sample(range(len(table)), len(table))]
    mixed = dict(zip(turned["image_id"], merged_lesions(turned, pairs(*names)), strict=True))
    assert straight == mixed


def test_the_shipped_list_names_different_images_of_different_lesions() -> None:
    known = known_duplicates()
    assert list(known.columns) == list(COLUMNS)
    assert (known["image_a"] < known["image_b"]).all()
    assert (known["lesion_a"] != known["lesion_b"]).all()
    assert not known.duplicated(["image_a", "image_b"]).any()
    assert known["matching_points"].min() >= 10


def test_the_shipped_list_has_the_pairs_that_others_found_too() -> None:
    known = known_duplicates()
    listed = set(zip(known["image_a"], known["image_b"], strict=True))
    assert {
        ("ISIC_0027027", "ISIC_0029036"),
        ("ISIC_0032740", "ISIC_0034283"),
        ("ISIC_0025226", "ISIC_0030074"),
        ("ISIC_0033490", "ISIC_0033631"),
        ("ISIC_0025387", "ISIC_0029880"),
    } <= listed


def test_images_whose_lesion_is_elsewhere_under_another_id_are_told() -> None:
    table = metadata(ISIC_0027027="HAM_1", ISIC_0029036="HAM_2", other="HAM_2", lonely="HAM_3")
    told = shown_elsewhere(table, np.array([0, 2, 3]), np.array([1]))
    # The second shares its own lesion id, which is no duplicate.
    assert [*told] == [True, False, False]
