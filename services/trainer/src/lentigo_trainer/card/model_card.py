"""The model card of a version, from its manifest and from what was measured.

After Mitchell et al., "Model Cards for Model Reporting" (FAT* 2019).
"""

from collections.abc import Sequence

from lentigo_contract.labels import DIAGNOSES, RESEARCH_NOTICE
from lentigo_contract.manifest.manifest import Manifest
from lentigo_trainer.card.comparison import comparison
from lentigo_trainer.card.decisions import decisions
from lentigo_trainer.card.evidence import Evidence
from lentigo_trainer.card.failures import failures
from lentigo_trainer.card.figures import READING, figures
from lentigo_trainer.card.limits import limits
from lentigo_trainer.card.purpose import in_short, intended_use
from lentigo_trainer.markdown import paragraphs, table

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
