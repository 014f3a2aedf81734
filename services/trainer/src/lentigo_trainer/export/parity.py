"""Parity of a candidate's LiteRT models with its SavedModel, for the manifest."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lentigo_contract.decision import decide, malignant_probability
from lentigo_contract.labels import CODES
from lentigo_contract.manifest.engines import (
    GOLDEN_IMAGES,
    GOLDEN_SEED,
    LITERT_FILES,
    EngineAgreement,
    EngineName,
    Golden,
    GoldenAnswer,
    golden_images,
)
from lentigo_contract.manifest.manifest import Manifest
from lentigo_contract.manifest.probabilities import MalignancyCalibration, Prevalence
from lentigo_engines.base import Images, Prediction
from lentigo_engines.golden_answers import golden_answer
from lentigo_trainer.evaluation.exported_model import predict_with
from lentigo_trainer.metrics.arrays import FloatArray, LabelArray, validate_predictions
from lentigo_trainer.metrics.classification import balanced_accuracy, present_codes
from lentigo_trainer.system.progress import Progress


@dataclass(frozen=True, slots=True)
class EngineParity:
    """The other engines' predictions, and what the manifest records of them.

    Attributes:
        reference: the SavedModel's prediction for the images outside training.
        predictions: of each other engine, for the same images.
        agreement: how closely they match the SavedModel's.
        golden: the predictions of all engines for the golden images.
    """

    reference: Prediction
    predictions: dict[EngineName, Prediction]
    agreement: dict[EngineName, EngineAgreement]
    golden: Golden

    def standing_in(self) -> dict[EngineName, Prediction]:
        """Return the predictions of the engines that may replace the SavedModel."""
        return {
            engine: prediction
            for engine, prediction in self.predictions.items()
            if self.agreement[engine].shortfall() is None
        }

    def with_referrals(
        self, threshold: float, calibration: MalignancyCalibration | None
    ) -> "EngineParity":
        """Return a copy that also compares which images the engines refer.

        Args:
            threshold: refer from this probability of malignancy on, 0..1.
            calibration: of that probability; None takes the sum over the malignant diagnoses.
        """

        def referred(outputs: Prediction) -> npt.NDArray[np.bool_]:
            return malignant_probability(outputs.probabilities, calibration) >= threshold

        expected = referred(self.reference)
        agreement = {
            engine: figures.model_copy(
                update={
                    "equal_referrals": float(
                        np.mean(referred(self.predictions[engine]) == expected)
                    )
                }
            )
            for engine, figures in self.agreement.items()
        }
        return replace(self, agreement=agreement)

    def on_record(self, manifest: Manifest) -> Manifest:
        """Return the manifest with agreement and golden predictions."""
        return manifest.model_copy(update={"agreement": self.agreement, "golden": self.golden})


def parity_of(
    truth: LabelArray,
    reference: FloatArray,
    probabilities: FloatArray,
    prevalence: Prevalence | None = None,
) -> EngineAgreement:
    """Compare an engine's probabilities with the SavedModel's, for the same images.

    Args:
        truth: class numbers [n].
        reference: probabilities [n, 7] of the SavedModel.
        probabilities: [n, 7] of the other engine.
        prevalence: that the probabilities hold at; the diagnoses are then decided for balance, and
            without it they are the most probable ones.

    Raises:
        MetricError: one of them is not probabilities, or the shapes differ.
    """
    truth, reference = validate_predictions(truth, reference)
    _, probabilities = validate_predictions(truth, probabilities)
    present = present_codes(truth)
    diagnoses, expected_diagnoses = (
        decide(each, prevalence) for each in (probabilities, reference)
    )
    balanced, expected = (
        balanced_accuracy(truth, np.eye(len(CODES))[each], present)
        for each in (diagnoses, expected_diagnoses)
    )
    difference = np.abs(probabilities - reference)
    return EngineAgreement(
        images=len(truth),
        accuracy=float(np.mean(diagnoses == truth)),
        balanced_accuracy=balanced,
        balanced_accuracy_change=balanced - expected,
        largest_difference=float(difference.max()),
        mean_difference=float(difference.mean()),
        equal_diagnoses=float(np.mean(diagnoses == expected_diagnoses)),
    )


def compare_engines(
    folder: Path,
    images: Images,
    truth: LabelArray,
    reference: Prediction,
    prevalence: Prevalence | None,
    progress: Progress,
) -> EngineParity:
    """Run the LiteRT models of a version and compare them with its SavedModel.

    Args:
        folder: the version's folder, with the SavedModel and `litert/`.
        images: images outside training, uint8 [n, 224, 224, 3].
        truth: their class numbers.
        reference: the SavedModel's prediction for them.
        prevalence: see `parity_of`.
        progress: receives the progress.

    Raises:
        DamagedVersionError: a model cannot be loaded.
        EngineError: a runtime failed.
        MetricError: an engine returns invalid probabilities, such as NaN.
    """
    synthetic = golden_images(GOLDEN_SEED, GOLDEN_IMAGES)
    predictions: dict[EngineName, Prediction] = {}
    agreement: dict[EngineName, EngineAgreement] = {}
    golden: dict[EngineName, GoldenAnswer] = {
        "savedmodel": _golden("savedmodel", predict_with("savedmodel", folder, synthetic, progress))
    }
    for engine in LITERT_FILES:
        predictions[engine], of_synthetic = (
            predict_with(engine, folder, each, progress) for each in (images, synthetic)
        )
        agreement[engine] = parity_of(
            truth, reference.probabilities, predictions[engine].probabilities, prevalence
        )
        # In float32, all kernels agree.
        rounded = (
            predict_with(engine, folder, synthetic, progress, reference_kernels=True)
            if engine == "litert-int8"
            else None
        )
        golden[engine] = _golden(engine, of_synthetic, rounded)
        progress.say(_line(engine, agreement[engine]))
    return EngineParity(reference, predictions, agreement, Golden(seed=GOLDEN_SEED, answers=golden))


def _golden(
    engine: EngineName, prediction: Prediction, reference: Prediction | None = None
) -> GoldenAnswer:
    for each in (prediction, *([reference] if reference else [])):
        # A golden image has no true diagnosis; any label serves here.
        validate_predictions(np.zeros(len(each.probabilities), np.int64), each.probabilities)
    return golden_answer(engine, prediction, reference)


def _line(engine: EngineName, agreement: EngineAgreement) -> str:
    verdict = agreement.shortfall() or "it may stand in for the SavedModel"
    return (
        f"{engine}: accuracy {agreement.accuracy:.4f}, balanced accuracy "
        f"{agreement.balanced_accuracy:.4f} ({agreement.balanced_accuracy_change:+.4f}), "
        f"{agreement.equal_diagnoses:.2%} equal diagnoses; {verdict}"
    )
