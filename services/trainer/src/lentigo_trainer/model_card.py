"""The model card of a version: what it is for, what it is worth, and what nobody knows.

After Mitchell et al., "Model Cards for Model Reporting" (FAT* 2019).
"""

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from lentigo_contract.labels import CODES, DIAGNOSES, RESEARCH_NOTICE
from lentigo_contract.manifest import Manifest
from lentigo_trainer.evaluation import Evaluation
from lentigo_trainer.figure_text import NOT_MEASURED, class_rows, overall_rows, reasons

NEVER_TESTED: Final = (
    "images from other clinics, cameras or dermatoscopes than HAM10000's",
    "clinical photographs without a dermatoscope, and images that show no skin lesion",
    "by sex, age, skin type or site on the body; HAM10000 shows mostly light skin",
    "diagnoses beside the seven: it always names one of them",
    "use by clinicians, alone or together with the model, and any effect on patients",
)


def model_card(
    manifest: Manifest, result: Evaluation, measured_on: str, not_tested: Sequence[str] = ()
) -> str:
    """Write the card in Markdown.

    Args:
        manifest: the version's manifest; its number may still be 0.
        result: the evaluation whose figures the manifest carries.
        measured_on: the evaluation's images in words, as the end of "measured on ...".
        not_tested: what else was not tested or measured, beside what never is.
    """
    parts = (
        _head(manifest),
        _use(),
        _data(manifest),
        _figures(result, measured_on),
        _failures(result),
        _decisions(manifest),
        "## Never tested\n\n"
        + _list(f"{what}: {NOT_MEASURED}" for what in (*NEVER_TESTED, *not_tested)),
    )
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(manifest: Manifest) -> str:
    counts = manifest.parameters
    summary = (
        "Names the most likely of seven diagnoses for a dermatoscopic image of a skin lesion. "
        f"{manifest.architecture} with {counts.total:,} parameters, {counts.trainable:,} of them "
        f"trained on these data. Trained {manifest.created:%Y-%m-%d}, seed {manifest.seed}, code "
        f"version {manifest.code_version}. Every figure of this card is in `manifest.json`."
    )
    diagnoses = _table(
        ("Code", "Diagnosis", "Counts as malignant", "ICD-10"),
        (
            (each.code, each.name, "yes" if each.malignant else "no", ", ".join(each.icd10))
            for each in DIAGNOSES
        ),
    )
    title = f"# Model card: Lentigo, {manifest.architecture}"
    return "\n\n".join((title, f"> {RESEARCH_NOTICE}", summary, diagnoses))


def _use() -> str:
    return """## Intended use

Research and teaching: comparing methods, trying out an integration, learning how such a system is
built and measured.

**Not for** diagnosing, reassuring or treating anyone, for deciding who is seen first, or for an app
that people use on their own skin. A low probability of malignancy is no all-clear: the table below
says how many melanomas are missed. It has no approval as a medical device anywhere."""


def _data(manifest: Manifest) -> str:
    data, split, plan = manifest.dataset, manifest.split, manifest.plan
    return f"""## Data and licence

{data.name} ({data.source}), {data.images:,} images, licence {data.license}. {split.train:,} images
trained the network, as {plan.rows:,} rows with augmentation; {split.validation:,} were held back,
and no lesion stands on both sides.

The weights derive from these data, so they are under {manifest.license}: non-commercial use only,
and credit to the source. Lentigo's code is under Apache-2.0."""


def _figures(result: Evaluation, measured_on: str) -> str:
    how = (
        f"Measured on {measured_on} ({result.examples:,} images of {result.lesions:,} lesions). In "
        f"brackets the 95 % interval: percentile bootstrap over lesions, {result.resamples:,} "
        f"resamples, seed {result.seed}. Beside each figure stands what always answering "
        f"{result.majority}, the most frequent class here, would come to."
    )
    whole = _table(("Figure", "This model", "n", f"Always {result.majority}"), overall_rows(result))
    classes = _table(
        ("Class", "n", "Recall (sensitivity)", "Precision", "Answers", "AUC"), class_rows(result)
    )
    reading = (
        "n is the number of images a figure rests on: of a recall the images of the class, of a "
        "precision the answers naming it, of an AUC the positive images. A share of 0 or 100 % "
        "gets an interval without width from this method; read its n instead. The calibration "
        "error's interval leans upwards, because resampling adds to it."
    )
    missing = _list(reasons(result))
    parts = ("## How well it does", how, whole, classes, reading, missing)
    return "\n\n".join(part for part in parts if part)


def _failures(result: Evaluation) -> str:
    lines = []
    for truth, diagnosis in enumerate(DIAGNOSES):
        row = result.confusion[truth]
        total, wrong = sum(row), sum(row) - row[truth]
        if diagnosis.malignant and wrong:
            share = f"{100 * wrong / total:.1f} %"
            most, other = max((n, CODES[answer]) for answer, n in enumerate(row) if answer != truth)
            lines.append(
                f"{diagnosis.code}: {wrong:,} of {total:,} images ({share}) got another answer, "
                f"most often {other} ({most:,})"
            )
    return "## Known failures\n\n" + _list(lines) if lines else ""


def _decisions(manifest: Manifest) -> str:
    calibration = manifest.calibration
    how = (
        "The probabilities are the network's own; they were not calibrated."
        if calibration.method == "none"
        else f"Logits are divided by a temperature of {calibration.temperature:.3f}."
    )
    note = f" {calibration.note}" if calibration.note else ""
    # Thresholds can lie below a tenth of a per mille, where fixed decimals would say 0.
    threshold = np.format_float_positional(
        manifest.thresholds.malignancy, precision=3, fractional=False, trim="-"
    )
    return f"""## Probabilities and threshold

{how}{note}

The service says `refer` when the probabilities of mel, bcc and akiec sum to at least
{threshold}, whichever engine answers. How that was chosen: {manifest.thresholds.source}."""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = (head, ["---"] * len(head), *rows)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _list(items: Iterable[str]) -> str:
    return "\n".join(f"- {item}" for item in items)
