"""The JSON response for one image."""

import base64

from lentigo_contract.labels import DIAGNOSES, RESEARCH_NOTICE, Diagnosis
from lentigo_inference.api.description.response import description_response
from lentigo_inference.api.models import model_reference
from lentigo_inference.api.predictions.schemas import (
    ActivationMap,
    ClassProbability,
    DiagnosisProbability,
    DiagnosisScore,
    ImageSummary,
    Malignancy,
    PredictionResponse,
    Quality,
)
from lentigo_inference.observability.identifiers import uuid7
from lentigo_inference.serving.activation_map import DrawnMap
from lentigo_inference.serving.decision import Decision, referral_reasons
from lentigo_inference.serving.judgement import PredictionResult


def prediction_response(result: PredictionResult) -> PredictionResponse:
    """Return the response for a prediction, also for one whose diagnosis is withheld."""
    manifest = result.model.stored.manifest
    check, upload, decision = manifest.unlikeness, result.upload, result.decision
    maps = [_activation_map(drawn) for drawn in result.activation_maps]
    return PredictionResponse(
        id=str(uuid7()),
        model=model_reference(result.model),
        image=ImageSummary(
            sha256=upload.sha256,
            format=upload.image.format,
            width=upload.image.width,
            height=upload.image.height,
        ),
        quality=Quality(
            accepted=result.quality.accepted,
            reasons=list(result.quality.reasons),
            unlikeness=result.quality.unlikeness,
            unlikeness_limit=None if check is None else check.limit,
        ),
        diagnosis=None if decision is None else _diagnosis(decision),
        most_probable=None if decision is None else _most_probable(decision),
        probabilities=[] if decision is None else _probabilities(decision),
        malignancy=_malignancy(
            decision, result.model.rule.threshold, accepted=result.quality.accepted
        ),
        notice=RESEARCH_NOTICE,
        activation_map=None if decision is None else _map_of(decision, maps),
        activation_maps=maps if len(maps) > 1 else None,
        description=None
        if result.description is None
        else description_response(result.description),
    )


def _diagnosis(decision: Decision) -> DiagnosisScore:
    decided = DIAGNOSES[decision.diagnosis]
    return DiagnosisScore(
        code=decided.code,
        name=decided.name,
        probability=float(decision.probabilities[decision.diagnosis]),
        decided_by=decision.decided_by,
        confident=decision.confident,
    )


def _most_probable(decision: Decision) -> DiagnosisProbability | None:
    """Return the most probable diagnosis, if it is not the one that was decided for."""
    first = decision.ranked[0]
    if first == decision.diagnosis:
        return None
    return DiagnosisProbability(
        code=DIAGNOSES[first].code,
        name=DIAGNOSES[first].name,
        probability=float(decision.probabilities[first]),
    )


def _probabilities(decision: Decision) -> list[ClassProbability]:
    return [
        _class_probability(DIAGNOSES[place], float(decision.probabilities[place]))
        for place in decision.ranked
    ]


def _class_probability(diagnosis: Diagnosis, probability: float) -> ClassProbability:
    return ClassProbability(
        code=diagnosis.code,
        name=diagnosis.name,
        probability=probability,
        malignant=diagnosis.malignant,
    )


def _malignancy(decision: Decision | None, threshold: float, *, accepted: bool) -> Malignancy:
    """Decide whether to refer, and list the reasons."""
    reasons = referral_reasons(decision, accepted=accepted)
    return Malignancy(
        probability=None if decision is None else decision.malignancy,
        threshold=threshold,
        refer=bool(reasons),
        reasons=list(reasons),
    )


def _map_of(decision: Decision, maps: list[ActivationMap]) -> ActivationMap | None:
    code = DIAGNOSES[decision.diagnosis].code
    return next((each for each in maps if each.code == code), None)


def _activation_map(drawn: DrawnMap) -> ActivationMap:
    return ActivationMap(code=drawn.code, data=base64.b64encode(drawn.png).decode("ascii"))
