"""The duplicates of HAM10000 that are known, and the lesions that they join.

`ham10000.csv` beside this module was found by the method of `lentigo-train duplicates`; its first
lines say when and how. A pair is one lesion photographed, or only copied, under two lesion ids.
"""

from functools import cache
from importlib.resources import files
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

COLUMNS: Final = ("image_a", "image_b", "lesion_a", "lesion_b", "matching_points", "mirrored")

LIST_NAME: Final = "ham10000.csv"


@cache
def known_duplicates() -> pd.DataFrame:
    """Return the pairs of images that show one lesion under two ids, best first.

    Returns:
        The columns `COLUMNS`; do not change it, every caller gets the same table.
    """
    with (files(__package__) / LIST_NAME).open(encoding="utf-8") as file:
        return pd.read_csv(file, comment="#", dtype={"matching_points": int, "mirrored": bool})


def merged_lesions(
    table: pd.DataFrame, duplicates: pd.DataFrame | None = None
) -> npt.NDArray[np.str_]:
    """Return the lesion of every image, with the lesions that known duplicates join as one.

    Lesions are joined over any number of pairs, also through images that the table lacks.

    Args:
        table: metadata with the columns `image_id` and `lesion_id`, n rows.
        duplicates: pairs with the columns `image_a` and `image_b`; the known ones if None.

    Returns:
        One name a row, shape [n]: the first, by name, of the joined lesion ids; the row's own
        lesion id where none of its lesion's images is listed.
    """
    pairs = known_duplicates() if duplicates is None else duplicates
    images = [("image", name) for name in table["image_id"]]
    lesions = [("lesion", name) for name in table["lesion_id"]]
    groups = _Groups()
    for image_a, image_b in zip(pairs["image_a"], pairs["image_b"], strict=True):
        groups.join(("image", image_a), ("image", image_b))
    for image, lesion in zip(images, lesions, strict=True):
        groups.join(image, lesion)
    first: dict[_Node, str] = {}
    for lesion in sorted(set(lesions)):
        first.setdefault(groups.root(lesion), lesion[1])
    return np.array([first[groups.root(lesion)] for lesion in lesions], dtype=np.str_)


def shown_elsewhere(
    table: pd.DataFrame, rows: npt.NDArray[np.intp], others: npt.NDArray[np.intp]
) -> npt.NDArray[np.bool_]:
    """Return which images show a lesion that other images show under another lesion id.

    Args:
        table: metadata with the columns `image_id` and `lesion_id`.
        rows: the images in question, row numbers, [n].
        others: the other images, row numbers.

    Returns:
        One value for each of `rows`, [n].
    """
    merged = merged_lesions(table)
    own = table["lesion_id"].to_numpy(str)
    return np.isin(merged[rows], merged[others]) & ~np.isin(own[rows], own[others])


_Node = tuple[str, str]


class _Groups:
    """Disjoint sets of nodes: union-find with path halving (Tarjan and van Leeuwen 1984)."""

    def __init__(self) -> None:
        self._parents: dict[_Node, _Node] = {}

    def root(self, node: _Node) -> _Node:
        parents = self._parents
        while (parent := parents.setdefault(node, node)) != node:
            parents[node] = parents[parent]
            node = parents[node]
        return node

    def join(self, one: _Node, other: _Node) -> None:
        self._parents[self.root(one)] = self.root(other)
