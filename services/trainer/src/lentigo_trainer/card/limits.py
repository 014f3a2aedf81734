"""What was never tested, so that silence is not taken for a good result."""

from collections.abc import Iterator

from lentigo_trainer.card.evidence import Evidence
from lentigo_trainer.figure_text import NOT_MEASURED
from lentigo_trainer.markdown import bullets


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
