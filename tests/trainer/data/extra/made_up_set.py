"""Made-up imported sets."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lentigo_trainer.config.fine_tuning import FineTuning
from lentigo_trainer.config.recipe import Recipe
from lentigo_trainer.config.training import TrainingConfig, WorkFolder
from lentigo_trainer.data.dataset import Prepared
from lentigo_trainer.data.extra.training_images import ExtraImages, open_extra_images
from tests.trainer.data.extra.collections_on_disk import imported, picture, write_table


def made_up_set(
    folder: Path, counts: Mapping[str, int], first: int = 0, kept_out_share: float = 0.0
) -> Path:
    """Import a set with so many images of each diagnosis; `first` makes others of them."""
    images, rows = folder / "in", []
    images.mkdir(parents=True)
    number = first
    for code, count in counts.items():
        for _ in range(count):
            (images / f"image-{number}.jpg").write_bytes(picture(number, code))
            rows.append((f"image-{number}", code))
            number += 1
    write_table(images / "labels.csv", ("image", "label"), *rows)
    imported(folder / "set", images, kept_out_share=kept_out_share)
    return folder / "set"


def extra_images(folder: Path, *sets: Mapping[str, int]) -> ExtraImages:
    """The training images of such sets."""
    folders = [
        made_up_set(folder / str(number), counts, first=1_000 * (number + 1))
        for number, counts in enumerate(sets)
    ]
    found = open_extra_images(config_with(*folders), without_images())
    assert found is not None
    return found


def config_with(*sets: Path, fine_tuning: bool = True) -> TrainingConfig:
    """The configuration of a run with such sets."""
    recipe = Recipe(fine_tuning=FineTuning() if fine_tuning else None)
    return TrainingConfig(WorkFolder(Path("work")), recipe, "random", 0, None, 1, extra=sets)


def without_images() -> Prepared:
    """A data set that holds nothing."""
    import pandas as pd

    return Prepared(
        images=np.zeros((0, 224, 224, 3), np.uint8),
        records=pd.DataFrame({"image_id": [], "sha256": []}),
        labels=np.zeros(0, np.int64),
        digests=(),
        digest="0" * 64,
    )
