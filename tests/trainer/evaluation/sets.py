"""Image sets in memory, for tests that read no disk."""

from collections.abc import Mapping
from functools import partial

import numpy as np

from lentigo_contract.labels import index_of
from lentigo_trainer.evaluation.images.image_sets import ImageSet
from tests.trainer.evaluation.isic import SEVEN, Shown, pictures


def image_set(shown: Shown = SEVEN, broken: Mapping[str, bytes] | None = None) -> ImageSet:
    """The images of `shown`; `broken` has other bytes for some of them."""
    files = {name.removesuffix(".jpg"): data for name, data in pictures(shown).items()}
    files |= broken or {}
    return ImageSet(
        description="made-up images",
        names=tuple(shown),
        truth=np.array([index_of(code) for code in shown.values()]),
        readers=tuple(partial(_same, files[name]) for name in shown),
    )


def _same(data: bytes) -> bytes:
    return data
