"""How far a version's other engines agree with its SavedModel, and which may stand in for it."""

from typing import Annotated, Final, Literal

from pydantic import Field

from lentigo_contract.manifest_fields import Count, Fraction, Record

EngineName = Literal["savedmodel", "litert", "litert-int8"]
"""A way to run a version: `saved_model.pb`, `litert/float32.tflite` or `litert/int8.tflite`."""

LITERT_FILES: Final[dict[EngineName, str]] = {
    "litert": "litert/float32.tflite",
    "litert-int8": "litert/int8.tflite",
}
"""Where a version keeps its LiteRT models, by the engine that runs them."""

MAX_BALANCED_ACCURACY_CHANGE: Final = 0.005
MIN_EQUAL_DIAGNOSES: Final = 0.99


class EngineAgreement(Record):
    """An engine beside the SavedModel, on all validation images.

    Attributes:
        images: how many images were compared.
        accuracy: share of right diagnoses by this engine.
        balanced_accuracy: mean of its recalls over the classes that have images.
        balanced_accuracy_change: that figure minus the SavedModel's, -1 to 1.
        largest_difference: of any of the probabilities, in absolute value.
        mean_difference: over all images and classes, in absolute value.
        equal_diagnoses: share of the images on which both name the same diagnosis.
    """

    images: Count
    accuracy: Fraction
    balanced_accuracy: Fraction
    balanced_accuracy_change: Annotated[float, Field(ge=-1, le=1)]
    largest_difference: Fraction
    mean_difference: Fraction
    equal_diagnoses: Fraction

    def shortfall(self) -> str | None:
        """Say why this engine may not stand in for the SavedModel unasked, or give None."""
        if self.images == 0:
            return "it was compared on no image"
        if abs(self.balanced_accuracy_change) > MAX_BALANCED_ACCURACY_CHANGE:
            return (
                f"it changes balanced accuracy by {self.balanced_accuracy_change:+.4f}, more than "
                f"{MAX_BALANCED_ACCURACY_CHANGE}"
            )
        if self.equal_diagnoses < MIN_EQUAL_DIAGNOSES:
            return (
                f"it names the same diagnosis on {self.equal_diagnoses:.2%} of the images, less "
                f"than {MIN_EQUAL_DIAGNOSES:.0%}"
            )
        return None
