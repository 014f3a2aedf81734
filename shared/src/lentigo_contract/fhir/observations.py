"""What was said of an image: Observations, RiskAssessment and DiagnosticReport.

Everything is `preliminary`: it becomes `final` only when a clinician has acted on it.
"""

from typing import Final

from lentigo_contract.fhir.codes import TERMS, CodeMap, term
from lentigo_contract.fhir.elements import (
    ANSWER_SYSTEM,
    Element,
    Resource,
    absent,
    coding,
    diagnosis_concept,
    identifier,
    meta,
    narrative,
    notice,
    profile,
    ratio,
    unknown_reference,
)
from lentigo_contract.fhir.subjects import About
from lentigo_contract.labels import CODES, RESEARCH_NOTICE
from lentigo_contract.prediction import Prediction

PRELIMINARY: Final = "preliminary"

_CATEGORY: Final = "http://terminology.hl7.org/CodeSystem/observation-category"
_IMAGING: Final = {"coding": [coding(_CATEGORY, "imaging", "Imaging")]}


def classification(prediction: Prediction, about: About, codes: CodeMap) -> Resource:
    """Return the Observation with the diagnosis, and a component for each of the seven.

    Without a diagnosis, all of them say that they are absent and why.
    """
    withheld = withheld_because(prediction)
    value: Element
    if prediction.diagnosis is None:
        value = {"dataAbsentReason": withheld}
    else:
        value = {"valueCodeableConcept": diagnosis_concept(codes, prediction.diagnosis.code)}
    probabilities = prediction.by_code
    components = [
        {
            "code": diagnosis_concept(codes, code),
            **(
                {"valueQuantity": ratio(probabilities[code])}
                if probabilities
                else {"dataAbsentReason": withheld}
            ),
        }
        for code in CODES
    ]
    return {
        **_observation("lesion-classification", prediction, about),
        **value,
        "component": components,
    }


def image_quality(prediction: Prediction, about: About) -> Resource:
    """Return the Observation that says whether the image can be judged, and why not."""
    quality = prediction.quality
    components: list[Element] = [
        {"code": term(reason), "valueBoolean": True} for reason in quality.reasons
    ]
    if quality.unlikeness is not None:
        unlikeness: Element = {
            "code": term("unlikeness"),
            "valueQuantity": ratio(quality.unlikeness),
        }
        if quality.unlikeness_limit is not None:
            limit = ratio(quality.unlikeness_limit)
            unlikeness["referenceRange"] = [{"high": limit}]
        components.append(unlikeness)
    return {
        **_observation("image-quality", prediction, about),
        "valueBoolean": quality.accepted,
        **({"component": components} if components else {}),
    }


def risk_assessment(prediction: Prediction, about: About) -> Resource:
    """Return the RiskAssessment for malignancy, with the recommendation to refer.

    R4 wants a subject. Where none is known, it says so.
    """
    malignancy = prediction.malignancy
    outcome: Element = {
        "outcome": term("malignancy"),
        "qualitativeRisk": term("refer" if malignancy.refer else "no-referral"),
        "rationale": rationale(prediction),
        "extension": [{"url": profile("referral-threshold"), "valueDecimal": malignancy.threshold}],
    }
    if malignancy.probability is not None:
        # R4: as a percentage. Rounded, since 0.07 times 100 is 7.000000000000001.
        outcome["probabilityDecimal"] = round(malignancy.probability * 100, 10)
    return {
        "resourceType": "RiskAssessment",
        "meta": meta("malignancy-risk"),
        "identifier": about.identifiers("malignancy"),
        "status": PRELIMINARY,
        "code": term("malignancy"),
        "subject": about.subject or unknown_reference("Not named to the service"),
        "occurrenceDateTime": about.moment,
        "performer": about.device,
        "basis": [about.observation("lesion-classification"), about.image],
        "prediction": [outcome],
        "mitigation": TERMS["refer" if malignancy.refer else "no-referral"],
        "note": notice(),
    }


def diagnostic_report(prediction: Prediction, about: About, codes: CodeMap) -> Resource:
    """Return the DiagnosticReport that puts the results together."""
    lines = conclusion(prediction)
    diagnosis = prediction.diagnosis
    named = (
        {"conclusionCode": [diagnosis_concept(codes, diagnosis.code)]}
        if diagnosis is not None
        else {}
    )
    study = {"imagingStudy": [about.image]} if about.image["type"] == "ImagingStudy" else {}
    return {
        "resourceType": "DiagnosticReport",
        "meta": meta("report"),
        "text": narrative(lines),
        "identifier": [
            *about.identifiers("report"),
            identifier(ANSWER_SYSTEM, prediction.id),
        ],
        "status": PRELIMINARY,
        "code": term("report"),
        **about.subject_member(),
        "effectiveDateTime": about.moment,
        "issued": about.moment,
        "result": [
            about.observation("lesion-classification"),
            about.observation("image-quality"),
        ],
        **study,
        "conclusion": " ".join(lines),
        **named,
    }


def conclusion(prediction: Prediction) -> list[str]:
    """Return what an answer says, in sentences."""
    model, malignancy = prediction.model, prediction.malignancy
    lines = []
    if prediction.diagnosis is None:
        lines.append(f"No diagnosis: {_reasons(prediction.quality.reasons)}.")
    else:
        named = diagnosis_concept(CodeMap(), prediction.diagnosis.code)["text"]
        lines.append(f"{named}, probability {prediction.diagnosis.probability:.4f}.")
        if not prediction.quality.accepted:
            lines.append(f"Asked for all the same: {_reasons(prediction.quality.reasons)}.")
        if prediction.diagnosis.confident is False:
            lines.append(f"{TERMS['unconfident']}.")
    lines.append(
        f"{rationale(prediction)} {TERMS['refer' if malignancy.refer else 'no-referral']}."
    )
    lines.append(f"By {model.name} {model.version}. {RESEARCH_NOTICE}")
    return lines


def rationale(prediction: Prediction) -> str:
    """Return why an answer refers, or why not, as a sentence."""
    malignancy = prediction.malignancy
    if malignancy.probability is None:
        return "The probability of malignancy is not known."
    reached = malignancy.probability >= malignancy.threshold
    return (
        f"The probability of malignancy, {malignancy.probability:.4f}, "
        f"{'reaches' if reached else 'is below'} the threshold, {malignancy.threshold:.4f}."
    )


def withheld_because(prediction: Prediction) -> Element:
    """Return why there is no diagnosis, as a dataAbsentReason."""
    return absent("not-performed", "Not Performed", _reasons(prediction.quality.reasons))


def _observation(name: str, prediction: Prediction, about: About) -> Resource:
    model = prediction.model
    how = ", ".join(filter(None, (model.architecture, model.engine)))
    return {
        "resourceType": "Observation",
        "meta": meta(name),
        "identifier": about.identifiers(name),
        "status": PRELIMINARY,
        "category": [_IMAGING],
        "code": term(name),
        **about.subject_member(),
        "effectiveDateTime": about.moment,
        "issued": about.moment,
        "method": {"text": f"{model.name} {model.version}{f' ({how})' if how else ''}"},
        "device": about.device,
        "derivedFrom": [about.image],
        "note": notice(),
    }


def _reasons(reasons: list[str]) -> str:
    told = [TERMS.get(each, each) for each in reasons] or [TERMS["unusable"]]
    return ", ".join(each[0].lower() + each[1:] for each in told)
