"""Made-up evaluation reports, for tests of what is built on them."""

import numpy as np
import pandas as pd

from lentigo_contract.manifest.manifest import Manifest
from lentigo_trainer.evaluation.images.image_sets import ImageSet
from lentigo_trainer.evaluation.report import EvaluationReport, evaluated_model, score
from lentigo_trainer.metrics.arrays import FloatArray
from tests.fakes import made_manifest
from tests.trainer.metrics.made_up_answers import made_up_answers

# About the shares of HAM10000's hold-out, with more melanomas.
SHARES = (0.06, 0.06, 0.12, 0.04, 0.2, 0.46, 0.06)


def made_set(n: int = 200, lesions_known: bool = True, seed: int = 1, named: str = "") -> ImageSet:
    """Images without bytes, of both sexes and three sites; the draw depends on the seed alone."""
    truth, _, lesions = made_up_answers(seed, n=n, shares=SHARES)
    people = None
    if lesions_known:
        generator = np.random.default_rng(seed)
        people = pd.DataFrame(
            {
                "lesion_id": lesions,
                "sex": generator.choice(["female", "male"], n),
                "age": generator.choice([35.0, 55.0, 75.0, np.nan], n),
                "localization": generator.choice(["back", "face", "foot"], n, p=[0.6, 0.38, 0.02]),
                "dx_type": generator.choice(["histo", "follow_up"], n),
            }
        )
    names = tuple(f"ISIC_{number:07}" for number in range(n))
    return ImageSet(named or f"{n} made-up images", names, truth, (), people=people)


def made_answers(images: ImageSet, skill: float, seed: int = 1) -> FloatArray:
    """Probabilities [n, 7] that lean to the truth by `skill`."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(images.truth.size, 7)) + skill * np.eye(7)[images.truth]
    powers = np.exp(logits)
    answers: FloatArray = powers / powers.sum(axis=1, keepdims=True)
    return answers


def made_card(
    n: int = 200,
    *,
    skill: float = 2.0,
    lesions_known: bool = True,
    seed: int = 1,
    manifest: Manifest | None = None,
    version: int = 3,
    refused: int | None = None,
    named: str = "",
) -> EvaluationReport:
    """Evaluate made-up predictions for made-up images."""
    images = made_set(n, lesions_known, seed, named)
    found = manifest or made_manifest()
    answers = made_answers(images, skill)
    subject = evaluated_model(found, version)
    mask = None if refused is None else np.arange(n) < refused
    return score(subject, images, "none: made up", answers, found, 0, mask, resamples=60)
