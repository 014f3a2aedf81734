"""The JSON response for one image."""

import base64

from lentigo_contract.labels import DIAGNOSES, RESEARCH_NOTICE, Diagnosis
from lentigo_contract.manifest.manifest import Thresholds
from lentigo_engines.base import Floats
from lentigo_inference.api.models import model_reference
from lentigo_inference.api.schemas import (
    ActivationMap,
    ClassProbability,
    DiagnosisScore,
    ImageSummary,
    Malignancy,
    PredictionResponse,
    Quality,
    ReferralReason,
)
from lentigo_inference.observability.identifiers import uuid7
from lentigo_inference.serving.activation_map import DrawnMap
from lentigo_inference.serving.predictor import PredictionResult

_RankedDiagnoses = list[tuple[Diagnosis, float]]


def prediction_response(result: PredictionResult) -> PredictionResponse:
    """Return the response for a prediction, also for one whose diagnosis is withheld."""
    manifest = result.model.stored.manifest
    check, upload = manifest.unlikeness, result.upload
    ranked = _ranked(result.probabilities)
    diagnosis = _diagnosis(ranked, manifest.thresholds.abstention)
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
        diagnosis=diagnosis,
        probabilities=[_class_probability(*pair) for pair in ranked],
        malignancy=_malignancy(
            ranked, diagnosis, manifest.thresholds, accepted=result.quality.accepted
        ),
        notice=RESEARCH_NOTICE,
        activation_map=maps[0] if maps else None,
        activation_maps=maps if len(maps) > 1 else None,
    )


def _ranked(probabilities: Floats | None) -> _RankedDiagnoses:
    """Return the diagnoses, the most probable first; none if the diagnosis is withheld."""
    if probabilities is None:
        return []
    # A stable sort, so equal probabilities stay in the order of the labels.
    return sorted(
        zip(DIAGNOSES, map(_fraction, probabilities.tolist()), strict=True),
        key=lambda pair: pair[1],
        reverse=True,
    )


def _diagnosis(ranked: _RankedDiagnoses, abstention: float | None) -> DiagnosisScore | None:
    if not ranked:
        return None
    top, highest = ranked[0]
    return DiagnosisScore(
        code=top.code,
        name=top.name,
        probability=highest,
        confident=None if abstention is None else highest >= abstention,
    )


def _class_probability(diagnosis: Diagnosis, probability: float) -> ClassProbability:
    return ClassProbability(
        code=diagnosis.code,
        name=diagnosis.name,
        probability=probability,
        malignant=diagnosis.malignant,
    )


def _malignancy(
    ranked: _RankedDiagnoses,
    diagnosis: DiagnosisScore | None,
    thresholds: Thresholds,
    *,
    accepted: bool,
) -> Malignancy:
    """Decide whether to refer, and list the reasons."""
    probability = None
    reasons: list[ReferralReason] = []
    if diagnosis is not None:
        probability = _fraction(sum(share for each, share in ranked if each.malignant))
        if probability >= thresholds.malignancy:
            reasons.append("malignancy")
        if diagnosis.confident is False:
            reasons.append("unconfident")
    if not accepted:
        reasons.append("unusable")
    return Malignancy(
        probability=probability,
        threshold=thresholds.malignancy,
        refer=bool(reasons),
        reasons=reasons,
    )


def _activation_map(drawn: DrawnMap) -> ActivationMap:
    return ActivationMap(code=drawn.code, data=base64.b64encode(drawn.png).decode("ascii"))


def _fraction(probability: float) -> float:
    """Clip what float32 rounding puts below 0 or above 1."""
    return min(max(probability, 0.0), 1.0)
