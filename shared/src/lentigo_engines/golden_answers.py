"""The golden answers: what an engine said of the golden images when the version was exported.

The sums of a version's files prove that nothing changed. The golden answers prove that the runtime
of this machine computes what the trainer measured, and are a second line of defence against damage.
"""

from dataclasses import astuple
from typing import Final

import numpy as np

from lentigo_contract.errors import EngineError
from lentigo_contract.manifest.engines import (
    GOLDEN_TOLERANCES,
    LEAST_COMPARED,
    EngineName,
    Golden,
    GoldenAnswer,
    GoldenTolerance,
    golden_images,
)
from lentigo_engines.base import Engine, Prediction

# Kernels that round int8 in another way are twice as far off as the reference kernels, at most.
_MARGIN: Final = 2.0

# Where the reference kernels happen to agree, those of another processor may still not.
_LEAST: Final = GoldenTolerance(0.002, 0.02, 0.005)


def golden_answer(
    engine: EngineName, prediction: Prediction, reference: Prediction | None = None
) -> GoldenAnswer:
    """Put predictions for the golden images on record.

    Args:
        engine: that predicted.
        prediction: of n golden images.
        reference: of the same images by the runtime's reference kernels. What another machine may
            be off by is then measured, instead of assumed.
    """
    unlikeness = prediction.unlikeness
    answer = GoldenAnswer(
        probabilities=tuple(tuple(row) for row in prediction.probabilities.tolist()),
        tolerance=GOLDEN_TOLERANCES[engine].probability,
        unlikeness=None if unlikeness is None else tuple(unlikeness.tolist()),
    )
    tolerance = GOLDEN_TOLERANCES[engine]
    if reference is not None:
        measured = zip(astuple(differences(reference, answer)), astuple(_LEAST), strict=True)
        wanted = (max(_MARGIN * off, least) for off, least in measured)
        tolerance = GoldenTolerance(
            *(min(each) for each in zip(wanted, astuple(tolerance), strict=True))
        )
    return answer.model_copy(
        update={
            "tolerance": tolerance.probability,
            "log_tolerance": tolerance.log_probability,
            "unlikeness_tolerance": None if unlikeness is None else tolerance.unlikeness,
        }
    )


def check_golden(engine: Engine, golden: Golden) -> None:
    """Compare an engine's predictions for the golden images with its own on record, if any.

    Raises:
        EngineError: they differ by more than `GoldenAnswer.allowed`.
    """
    for name, answer in golden.answers.items():
        if name == engine.name:
            images = golden_images(golden.seed, len(answer.probabilities))
            # One at a time, so that a waiting request waits no longer than for one image.
            found = Prediction.concatenate([engine.predict(image[None]) for image in images])
            _require_shapes(name, found, answer)
            _require_close(name, differences(found, answer), answer.allowed(name))


def differences(found: Prediction, answer: GoldenAnswer) -> GoldenTolerance:
    """Return how far a prediction for n golden images is off, in the units of the tolerances.

    An unlikeness that is not on record is 0 off. NaN is NaN off.
    """
    expected = np.array(answer.probabilities)
    log_found, log_expected = (
        np.log(np.maximum(each, LEAST_COMPARED)) for each in (found.probabilities, expected)
    )
    unlikeness = 0.0
    if answer.unlikeness is not None and found.unlikeness is not None:
        recorded = np.array(answer.unlikeness)
        off = np.abs(found.unlikeness - recorded).max()
        unlikeness = float(off / max(recorded.max(), LEAST_COMPARED))
    return GoldenTolerance(
        float(np.abs(found.probabilities - expected).max()),
        float(np.abs(log_found - log_expected).max()),
        unlikeness,
    )


def _require_shapes(name: EngineName, found: Prediction, answer: GoldenAnswer) -> None:
    shapes = {
        "probabilities": (found.probabilities, answer.probabilities),
        "unlikeness": (found.unlikeness, answer.unlikeness),
    }
    for output, (values, recorded) in shapes.items():
        if recorded is None:
            continue
        given, expected = np.shape(values) if values is not None else None, np.shape(recorded)
        if given != expected:
            raise EngineError(
                f"The engine {name} gives {output} {given and list(given)} of the golden "
                f"pictures; expected is {list(expected)}. Export the version again."
            )


def _require_close(name: EngineName, off: GoldenTolerance, allowed: GoldenTolerance) -> None:
    what = (
        "a probability",
        "the logarithm of a probability",
        "an unlikeness, relative to the rest",
    )
    for output, difference, most in zip(what, astuple(off), astuple(allowed), strict=True):
        if not difference <= most:
            raise EngineError(
                f"The engine {name} does not give the version's golden answer ({output} is off by "
                f"{difference:.2g}, allowed is {most:.2g}). Its weights are damaged, or its "
                "packages are not the pinned ones; choose another with LENTIGO_ENGINE."
            )
