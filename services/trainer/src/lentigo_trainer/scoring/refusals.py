"""Which images a version gives no diagnosis, as the service would not, and how many those are."""

import numpy as np
from numpy.typing import NDArray

from lentigo_contract.errors import DamagedVersionError
from lentigo_contract.manifest.manifest import UnlikenessLimit
from lentigo_trainer.engine_answers import EngineAnswers
from lentigo_trainer.intervals import Figure
from lentigo_trainer.resampled import mean
from lentigo_trainer.scoring.measured import Basis, Resampling, measured

Refused = NDArray[np.bool_]


def refused_by(limit: UnlikenessLimit | None, said: EngineAnswers, flawed: Refused) -> Refused:
    """Tell for each image whether it is unusable, or too unlike what the version learnt from.

    Args:
        limit: from the version's manifest; without one nothing is too unlike.
        said: what the version said of n images.
        flawed: bool [n], whether size and pixels tell that an image cannot be judged.

    Raises:
        DamagedVersionError: the manifest has a limit, and the network does not tell.
    """
    if limit is None:
        return flawed
    if said.unlikeness is None:
        raise DamagedVersionError(
            "The manifest has a limit of unlikeness, but the network does not tell how unlike its "
            "training images a picture is. Publish the version again."
        )
    refused: Refused = flawed | (said.unlikeness > limit.limit)
    return refused


def refused_share(refused: Refused, resampling: Resampling) -> Figure:
    """Give the share of the images that are refused, with its interval."""
    found = measured(
        lambda weights: {"refused": mean(refused, weights)},
        {"refused": Basis(refused.size, "")},
        resampling,
    )
    return found["refused"]
