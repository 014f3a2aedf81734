"""The model card of a version, from its manifest and from what was measured.

After Mitchell et al., "Model Cards for Model Reporting" (FAT* 2019).

What a version's probabilities are held against, and how each threshold was chosen.

What a version is for, what it is not for, and its worth in a few lines.

What was never tested, so that silence is not taken for a good result.
"""

from collections.abc import Iterator, Sequence

from lentigo_contract.labels import DIAGNOSES, RESEARCH_NOTICE
from lentigo_contract.manifest.manifest import Manifest
from lentigo_trainer.evaluation.report import EvaluationReport
from lentigo_trainer.metrics.bootstrap import Estimate
from lentigo_trainer.reporting.model_card.evidence import Evidence
from lentigo_trainer.reporting.model_card.results import (
    READING,
    comparison,
    failures,
    figures,
    of_text,
)
from lentigo_trainer.reporting.text import (
    NOT_MEASURED,
    bullets,
    number_text,
    paragraphs,
    share_text,
    table,
    temperatures_text,
    threshold_text,
)


def decisions(manifest: Manifest, main: EvaluationReport) -> str:
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


def chosen_on(manifest: Manifest, card: EvaluationReport) -> bool:
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


def in_short(manifest: Manifest, card: EvaluationReport) -> str:
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


def _named(figure: Estimate) -> str:
    return "undefined" if figure.value is None else f"{of_text(figure)}, {share_text(figure)}"


def _referral(card: EvaluationReport, flattered: bool) -> str:
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


def limits(evidence: Evidence) -> str:
    """Write the section: what no evaluation here speaks of."""
    return "## Never tested\n\n" + bullets(
        f"{what}: {NOT_MEASURED}" for what in _untested(evidence)
    )


def _untested(evidence: Evidence) -> Iterator[str]:
    if evidence.manifest.split.hold_out == 0:
        yield "images that neither trained it nor chose anything: no hold-out was kept"
    sets = "; ".join(card.images for card in evidence.sets)
    yield f"images from other clinics, cameras or dermatoscopes than those measured above ({sets})"
    if all(card.subgroups is None for card in evidence.sets):
        yield "by sex, age and site on the body"
    yield "by skin type, which the data do not tell; HAM10000 shows mostly light skin"
    yield "by ethnicity, immune status, earlier melanoma, or any other fact about the patient"
    yield "how it does as diagnoses grow rarer or more frequent than here, as in screening"
    yield "clinical photographs without a dermatoscope"
    if evidence.manifest.unlikeness is None:
        yield "images that show no skin lesion: it names one of the seven for them"
    yield "diagnoses beside the seven, such as squamous cell carcinoma or a scar"
    yield "the same lesion again, by another photograph, camera or day"
    if evidence.manifest.agreement is None:
        yield "other engines than the SavedModel, such as LiteRT"
    yield "pictures made to deceive it"
    yield "use by clinicians, alone or together with the model, and any effect on patients"


# Its address, as seen from the card, and what it shows in words.
Picture = tuple[str, str]


def model_card(evidence: Evidence, pictures: Sequence[Picture] = ()) -> str:
    """Write the card in Markdown; the same evidence gives the same text.

    Args:
        evidence: what is known; see `evidence.checked`.
        pictures: to be shown beside the figures.
    """
    manifest, main = evidence.manifest, evidence.main
    # What may do harm comes before what may please.
    parts = (
        _head(manifest),
        in_short(manifest, main),
        intended_use(),
        failures(evidence),
        limits(evidence),
        _data(manifest),
        decisions(manifest, main),
        f"## How well it does\n\n{READING}",
        "\n\n".join(f"![{words}]({address})" for address, words in pictures),
        *(comparison(card, other) for card in evidence.sets for other in evidence.beside(card)),
        figures(main, subgroups=True),
        *(figures(each, subgroups=False) for each in evidence.further),
    )
    return paragraphs(parts) + "\n"


def _head(manifest: Manifest) -> str:
    counts = manifest.parameters
    number = f" {manifest.version}" if manifest.version else ""
    recipe = manifest.recipe.get("name")
    by_recipe = f" by the recipe `{recipe}`" if recipe else ""
    summary = (
        "Names the most likely of seven diagnoses for a dermatoscopic image of a skin lesion. "
        f"{manifest.architecture} with {counts.total:,} parameters, {counts.trainable:,} of them "
        f"trained on these data{by_recipe}, {manifest.created:%Y-%m-%d}, seed {manifest.seed}, "
        f"code version {manifest.code_version}."
    )
    diagnoses = table(
        ("Code", "Diagnosis", "Counts as malignant", "ICD-10"),
        (
            (each.code, each.name, "yes" if each.malignant else "no", ", ".join(each.icd10))
            for each in DIAGNOSES
        ),
        figures=False,
    )
    title = f"# Model card: {manifest.name.capitalize()}{number}, {manifest.architecture}"
    return paragraphs((title, f"> **{RESEARCH_NOTICE}**", summary, diagnoses))


def _data(manifest: Manifest) -> str:
    data, split, plan = manifest.dataset, manifest.split, manifest.plan
    if split.hold_out:
        kept = (
            f"{split.tuning:,} chose the temperature and the thresholds and trained nothing; "
            f"{split.hold_out:,} are the hold-out, which trained nothing and on which recipes are "
            f"compared; {split.validation:,} are the paper's validation images, which trained and "
            "chose nothing. Recipes that were compared on the hold-out lean a little towards it."
        )
    else:
        kept = (
            f"{split.validation:,} are the paper's validation images. **No hold-out was kept**: "
            "all other images trained the network, so the validation images are all that is left "
            "to measure on, and whatever had to be chosen was chosen on them too."
        )
    return f"""## Data and licence

{data.name} ({data.source}), {data.images:,} images, licence {data.license}. {split.train:,} images
trained the network, as {plan.rows:,} rows. {kept} No lesion stands in two of these parts.

The weights derive from these data, so they are under {manifest.license}: non-commercial use only,
and credit to the source. Lentigo's code is under Apache-2.0."""
