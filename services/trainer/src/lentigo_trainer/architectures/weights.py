"""A base with the values it was asked for, or an error that says what to do."""

from pathlib import Path

import keras

from lentigo_contract.errors import WeightsError, WeightsUnavailableError
from lentigo_trainer.architectures.registry import Architecture, Weights


def load_base(
    chosen: Architecture, pictures: keras.KerasTensor, weights: Weights, seed: int
) -> keras.Model:
    """Build an architecture's base on scaled pictures.

    Args:
        chosen: the architecture; one without a weight file is drawn at random.
        pictures: [n, 224, 224, 3], scaled.
        weights: where its values come from.
        seed: of what is drawn.

    Raises:
        WeightsUnavailableError: no such file, or no network to download it.
        WeightsError: a file that holds no weights, or those of another network or shape.
    """
    if weights == "random" or chosen.weights_file is None:
        return chosen.base(pictures, None, seed)
    if weights == "imagenet":
        try:
            return chosen.base(pictures, "imagenet", seed)
        except Exception as error:
            # Keras raises a bare Exception when a download fails.
            raise WeightsUnavailableError(
                f"The ImageNet weights of {chosen.name} could not be downloaded. Connect to the "
                f"network, or put {chosen.weights_file} in a folder and give it as --weights-dir."
            ) from error
    file = Path(weights) / chosen.weights_file
    if not file.is_file():
        raise WeightsUnavailableError(
            f"{weights} has no {chosen.weights_file}. Put it there, or leave --weights-dir out to "
            "let Keras download it."
        )
    try:
        return chosen.base(pictures, str(file), seed)
    except (ValueError, OSError, KeyError) as error:
        raise WeightsError(
            f"{file} does not hold the weights of {chosen.name} without its top: {error}"
        ) from error
