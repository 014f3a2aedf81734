"""A worker in a Ray cluster: one core, one model. Ray makes an actor of this class.

It must be importable on every node, so `lentigo-inference` is installed there.
"""

import tempfile
from pathlib import Path
from typing import Final

from lentigo_contract.repository.store import ModelStore
from lentigo_inference.scoring.items import Task
from lentigo_inference.scoring.prepare import software
from lentigo_inference.scoring.rows import Row
from lentigo_inference.scoring.scorer import (
    Scorer,
    ScoringLimits,
    ScoringModel,
    load_scoring_model,
)

_PREFIX: Final = "lentigo-score-"


class ScoringActor:
    """Scores tasks, two at a time: one is computed while the images of the other are fetched."""

    def __init__(self, files: dict[str, bytes], model: ScoringModel, limits: ScoringLimits) -> None:
        """Load the model from its files, which are on the disk only meanwhile.

        Args:
            files: of the version, by their names.
            model: which model scores.
            limits: of an image.
        """
        with tempfile.TemporaryDirectory(prefix=_PREFIX) as root:
            folder = ModelStore(Path(root)).folder / str(model.version)
            for name, content in files.items():
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            self._scorer = Scorer(load_scoring_model(Path(root), model), limits)

    def software(self) -> dict[str, str]:
        """Return the versions of what computes an answer here."""
        return software()

    def score(self, task: Task) -> list[Row]:
        """Return the rows of a task."""
        return self._scorer.score(task)
