"""Which images belong together, and which groups of them are kept out of training for good."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

from lentigo_trainer.data.extra.metadata import MetadataRow

KEPT_OUT_SHARE: Final = 0.3
"""Share of a set's groups that never train, by default."""

KEPT_OUT_SEED: Final = 1707
"""Of the draw below. Changing it would train on what was tested on: do not."""


_Key = tuple[int, str]
"""A rank, which decides what names a group, and a name."""


def is_kept_out(group: str, share: float) -> bool:
    """Check whether a group is kept out of training.

    The draw depends on the group's name and on nothing else, so it stays the same when a set is
    imported again, grows, or has another name. A larger share only adds groups.

    Args:
        group: its name; see `group_names`.
        share: of the groups to keep out, 0 to 1.
    """
    digest = hashlib.sha256(f"{KEPT_OUT_SEED}\0{group}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


def group_names(
    rows: Sequence[MetadataRow], same: Iterable[tuple[str, str]] = ()
) -> dict[str, str]:
    """Join images of one group, lesion or patient; return each image's group by the image.

    A group is named by what it joins, so that its name does not change when images are added: the
    table's own word if it has one, else the patient, else the lesion, else the image.

    Args:
        rows: one for each image.
        same: pairs of images that show the same picture, and so the same lesion.
    """
    parent: dict[_Key, _Key] = {}

    def root(key: _Key) -> _Key:
        parent.setdefault(key, key)
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    def join(one: _Key, other: _Key) -> None:
        # The smaller key stands for both, and so names the group.
        low, high = sorted((root(one), root(other)))
        parent[high] = low

    for row in rows:
        for key in _keys(row):
            join(_image_key(row.image), key)
    for one, other in same:
        join(_image_key(one), _image_key(other))
    return {row.image: root(_image_key(row.image))[1] for row in rows}


def _image_key(name: str) -> _Key:
    return 3, name


def _keys(row: MetadataRow) -> list[_Key]:
    names = (row.group, row.patient, row.lesion)
    return [(rank, name) for rank, name in enumerate(names) if name]
