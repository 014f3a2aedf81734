"""Parity of a candidate's LiteRT models with its SavedModel, for the manifest."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lentigo_contract.manifest.engines import (
    GOLDEN_IMAGES,
    GOLDEN_SEED,
    GOLDEN_TOLERANCES,
    LITERT_FILES,
    EngineAgreement,
    EngineName,
    Golden,
    GoldenAnswer,
    golden_images,
)
from lentigo_contract.manifest.manifest import Manifest
from lentigo_engines.base import Floats, Images, Prediction
from lentigo_trainer.evaluation.exported_model import predict_with, probabilities_of
from lentigo_trainer.metrics.arrays import FloatArray, LabelArray, validate_predictions
from lentigo_trainer.metrics.classification import accuracy, balanced_accuracy, present_codes
from lentigo_trainer.system.progress import Progress


@dataclass(frozen=True, slots=True)
class EngineParity:
    """The other engines' predictions, and what the manifest records of them.

    Attributes:
        answers: each other engine's prediction for the validation images.
        agreement: how far these match the SavedModel's.
        golden: the predictions of all engines for the golden images.
    """

    answers: dict[EngineName, Prediction]
    agreement: dict[EngineName, EngineAgreement]
    golden: Golden

    def standing_in(self) -> dict[EngineName, Prediction]:
        """Return the predictions of the engines that may replace the SavedModel."""
        return {
            engine: answers
            for engine, answers in self.answers.items()
            if self.agreement[engine].shortfall() is None
        }

    def on_record(self, manifest: Manifest) -> Manifest:
        """Return the manifest with agreement and golden answers."""
        return manifest.model_copy(update={"agreement": self.agreement, "golden": self.golden})


def parity_of(truth: LabelArray, reference: FloatArray, answers: FloatArray) -> EngineAgreement:
    """Compare an engine's answers with the SavedModel's, on the same images.

    Args:
        truth: class numbers [n].
        reference: probabilities [n, 7] of the SavedModel.
        answers: of the other engine.

    Raises:
        MetricError: either cannot be probabilities, or the shapes differ.
    """
    truth, reference = validate_predictions(truth, reference)
    _, answers = validate_predictions(truth, answers)
    present = present_codes(truth)
    found, expected = (balanced_accuracy(truth, each, present) for each in (answers, reference))
    difference = np.abs(answers - reference)
    return EngineAgreement(
        images=len(truth),
        accuracy=accuracy(truth, answers),
        balanced_accuracy=found,
        balanced_accuracy_change=found - expected,
        largest_difference=float(difference.max()),
        mean_difference=float(difference.mean()),
        equal_diagnoses=float(np.mean(answers.argmax(axis=1) == reference.argmax(axis=1))),
    )


def compare_engines(
    folder: Path,
    images: Images,
    truth: LabelArray,
    reference: FloatArray,
    progress: Progress,
) -> EngineParity:
    """Run the LiteRT models of a version beside its SavedModel.

    Args:
        folder: holds the SavedModel and `litert/`.
        images: the validation images, uint8 [n, 224, 224, 3].
        truth: their class numbers.
        reference: the SavedModel's probabilities of them.
        progress: shows how far it is.

    Raises:
        DamagedVersionError: a model cannot be loaded.
        EngineError: a runtime failed.
        MetricError: an engine returns invalid probabilities, such as NaN.
    """
    drawn = golden_images(GOLDEN_SEED, GOLDEN_IMAGES)
    answers: dict[EngineName, Prediction] = {}
    agreement: dict[EngineName, EngineAgreement] = {}
    golden: dict[EngineName, GoldenAnswer] = {
        "savedmodel": _golden("savedmodel", probabilities_of(folder, drawn, progress))
    }
    for engine in LITERT_FILES:
        answers[engine], of_drawn = (
            predict_with(engine, folder, each, progress) for each in (images, drawn)
        )
        agreement[engine] = parity_of(truth, reference, answers[engine].probabilities)
        golden[engine] = _golden(engine, of_drawn.probabilities)
        progress.say(_line(engine, agreement[engine]))
    return EngineParity(answers, agreement, Golden(seed=GOLDEN_SEED, answers=golden))


def _golden(engine: EngineName, answers: Floats) -> GoldenAnswer:
    # A golden image has no true diagnosis; any label will do here.
    _, probabilities = validate_predictions(np.zeros(len(answers), np.int64), answers)
    rows = tuple(tuple(row) for row in probabilities.tolist())
    return GoldenAnswer(probabilities=rows, tolerance=GOLDEN_TOLERANCES[engine])


def _line(engine: EngineName, figures: EngineAgreement) -> str:
    verdict = figures.shortfall() or "it may stand in for the SavedModel"
    return (
        f"{engine}: accuracy {figures.accuracy:.4f}, balanced accuracy "
        f"{figures.balanced_accuracy:.4f} ({figures.balanced_accuracy_change:+.4f}), "
        f"{figures.equal_diagnoses:.2%} equal diagnoses; {verdict}"
    )
