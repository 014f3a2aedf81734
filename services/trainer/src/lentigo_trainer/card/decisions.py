"""What a version's probabilities are held against, and how each threshold was chosen."""

from collections.abc import Iterator

from lentigo_contract.manifest.manifest import Manifest
from lentigo_trainer.evaluation.report import Scorecard
from lentigo_trainer.figure_text import temperatures_text, threshold_text
from lentigo_trainer.markdown import bullets, paragraphs


def decisions(manifest: Manifest, main: Scorecard) -> str:
    """Write the section.

    Args:
        manifest: with calibration and thresholds.
        main: the figures that the card speaks of first.
    """
    flattered = (
        f"The thresholds were chosen on {main.images}: what they do there flatters them."
        if chosen_on(manifest, main)
        else ""
    )
    return paragraphs(
        (
            "## Probabilities and thresholds",
            bullets(
                (
                    _calibration(manifest),
                    _malignancy(manifest),
                    _abstention(manifest),
                    _unlikeness(manifest),
                    *_engines(manifest),
                )
            ),
            flattered,
        )
    )


def chosen_on(manifest: Manifest, card: Scorecard) -> bool:
    """Whether the threshold for malignancy was chosen on the very images of these figures."""
    return card.images in manifest.thresholds.source


def _calibration(manifest: Manifest) -> str:
    found = manifest.calibration
    if found.by_diagnosis is not None:
        how = (
            "each diagnosis has a temperature of its own "
            f"({temperatures_text(found.by_diagnosis)}), and logits are divided by their "
            "harmonic mean, weighted by how probable the network finds each diagnosis."
        )
    elif found.method == "temperature":
        how = f"logits are divided by a temperature of {found.temperature:.3f}."
    else:
        how = "the probabilities are the network's own; they were not calibrated."
    return f"Calibration: {how} {found.note}"


def _malignancy(manifest: Manifest) -> str:
    found = manifest.thresholds
    return (
        "Referral: the service says `refer` when the probabilities of mel, bcc and akiec sum to at "
        f"least {threshold_text(found.malignancy)}, whichever engine answers. How that was chosen: "
        f"{found.source}."
    )


def _abstention(manifest: Manifest) -> str:
    found = manifest.thresholds
    if found.abstention is None:
        return "Abstention: there is no threshold; an answer is given however unsure it is."
    return (
        f"Abstention: an answer whose own probability is below {threshold_text(found.abstention)} "
        f"is not relied on, and the lesion is referred. How that was chosen: "
        f"{found.abstention_source}."
    )


def _unlikeness(manifest: Manifest) -> str:
    found = manifest.unlikeness
    if found is None:
        return (
            "Unlike images: this version does not tell a picture that shows no lesion from one "
            "that does; it names one of the seven for it."
        )
    return (
        f"Unlike images: a picture whose unlikeness is above {found.limit:.4g} gets no diagnosis. "
        f"{found.method} How the limit was chosen: {found.source}."
    )


def _engines(manifest: Manifest) -> Iterator[str]:
    for engine, found in (manifest.agreement or {}).items():
        yield (
            f"Engine {engine}: the same diagnosis as the SavedModel, of which all figures here "
            f"speak, for {100 * found.equal_diagnoses:.1f} % of {found.images:,} images; balanced "
            f"accuracy changes by {100 * found.balanced_accuracy_change:+.1f} points."
        )
