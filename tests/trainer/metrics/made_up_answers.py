"""Truth, probabilities and lesions of a made-up evaluation."""

import numpy as np
from numpy.typing import NDArray

from lentigo_contract.labels import CODES

# About the shares of HAM10000's validation images, with a rare class.
SHARES = (0.03, 0.03, 0.08, 0.02, 0.10, 0.71, 0.03)


def made_up_answers(
    seed: int, n: int = 400, skill: float = 2.0, shares: tuple[float, ...] = SHARES
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.str_]]:
    """Draw truth [n], probabilities [n, 7] that lean to it by `skill`, and lesions [n] of 1-3."""
    generator = np.random.default_rng(seed)
    truth = generator.choice(len(CODES), size=n, p=shares)
    logits = generator.normal(size=(n, len(CODES))) + skill * np.eye(len(CODES))[truth]
    odds = np.exp(logits)
    lesions = np.array([f"HAM_{number:07}" for number in generator.integers(0, n // 2, size=n)])
    return truth, odds / odds.sum(axis=1, keepdims=True), lesions


def certain(*codes: int) -> NDArray[np.float64]:
    """Give probabilities that are sure of the class numbers, [len(codes), 7]."""
    return np.eye(len(CODES))[list(codes)]
