"""Measure a published version on the images that the paper held back."""

from pathlib import Path
from typing import Final

import numpy as np

from lentigo_contract.labels import index_of
from lentigo_contract.store import open_version_folder
from lentigo_trainer.decoding import decode
from lentigo_trainer.evaluation import Evaluation, evaluate
from lentigo_trainer.ham10000 import read_metadata, require_images
from lentigo_trainer.progress import Progress
from lentigo_trainer.saved_model import probabilities_of
from lentigo_trainer.source import Source, open_images
from lentigo_trainer.split import split

# Of the bootstrap: the same images and answers give the same intervals, wherever they are measured.
EVALUATION_SEED: Final = 0


def measure(version: Path, source: Source, workers: int, progress: Progress) -> Evaluation:
    """Measure a version as training did: the exported model on every validation image.

    Args:
        version: its folder, such as `models/lentigo/1`.
        source: where HAM10000 lies.
        workers: threads that decode.
        progress: told how far each step is.

    Raises:
        RepositoryError: not a whole version.
        DatasetError: the data cannot be used.
    """
    stored = open_version_folder(version)
    records = read_metadata(source.metadata)
    held_back = records.iloc[split(records).validation]
    with open_images(source) as readers:
        require_images(held_back, readers.keys(), source.metadata)
        chosen = [(name, readers[name]) for name in held_back["image_id"]]
        images = np.stack([pixels for _, pixels in decode(chosen, workers, progress)])
    answers = probabilities_of(stored.path, images, progress)
    truth = np.array([index_of(code) for code in held_back["dx"]], np.int64)
    return evaluate(truth, answers, held_back["lesion_id"].to_numpy(), EVALUATION_SEED)
