"""What a version is for, what it is not for, and its worth in a few lines."""

from lentigo_contract.manifest.manifest import Manifest
from lentigo_trainer.card.counts import of_text
from lentigo_trainer.card.decisions import chosen_on
from lentigo_trainer.evaluation.bootstrap import Figure
from lentigo_trainer.evaluation.report import Scorecard
from lentigo_trainer.figure_text import NOT_MEASURED, number_text, share_text
from lentigo_trainer.markdown import bullets


def in_short(manifest: Manifest, card: Scorecard) -> str:
    """Say what matters most, each figure with its interval, its n and what guessing would have.

    Args:
        manifest: of the version.
        card: its figures on the images that the card speaks of first.
    """
    result = card.evaluation
    classes = len(result.averaged_over)
    guess = share_text(result.majority_baseline)
    lines = (
        (
            f"Correct answers: {share_text(result.accuracy)} of {result.examples:,} images; always "
            f"answering {result.majority} would have {guess}."
        ),
        (
            f"Balanced accuracy, the mean of the sensitivities for {classes} diagnoses: "
            f"{share_text(result.balanced_accuracy)}; guessing has {100 / classes:.1f} %."
        ),
        f"Melanomas named as such: {_named(result.melanoma_sensitivity)}.",
        (
            f"AUC of malignant against benign: {number_text(result.malignant_auc)}, on "
            f"{result.malignant_auc.n:,} malignant images; guessing has 0.500."
        ),
        _referral(card, chosen_on(manifest, card)),
    )
    return f"## In short\n\nOn {card.images}:\n\n{bullets(lines)}"


def intended_use() -> str:
    """Say what it is for, and plainly what it is not for."""
    return """## Intended use

Research and teaching: comparing methods, trying out an integration, learning how such a system is
built and measured. The input is a dermatoscopic image of one lesion, as HAM10000 has them.

## Misuse

It has no approval as a medical device anywhere. **Not for**

- diagnosing, reassuring or treating anyone: a low probability of malignancy is no all-clear, and
  the known failures below say how many melanomas it calls benign;
- deciding who is seen, who is seen first, or who is not referred;
- an app that people use on their own skin, or photographs without a dermatoscope;
- nails, mucous membranes, wounds, rashes, or any diagnosis beside the seven;
- skin, cameras and clinics that HAM10000 does not show: it has mostly light skin, from two places;
- commercial use: the licence of the data forbids it;
- advertising an accuracy without what always naming the most frequent diagnosis would have."""


def _named(figure: Figure) -> str:
    return "undefined" if figure.value is None else f"{of_text(figure)}, {share_text(figure)}"


def _referral(card: Scorecard, flattered: bool) -> str:
    found = card.referral
    if found is None:
        return f"Referral by the version's threshold: {NOT_MEASURED}."
    return (
        f"Malignant images referred by the version's threshold: {_named(found.sensitivity)}; for "
        f"this it refers {share_text(found.referred)} of all {found.referred.n:,}."
        + (
            " The threshold was chosen on these very images, which flatters it."
            if flattered
            else ""
        )
    )
