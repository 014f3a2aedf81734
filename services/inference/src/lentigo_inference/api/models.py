"""`GET /v1/models`: the model version in use."""

from typing import Final

from fastapi import APIRouter

from lentigo_contract.labels import DIAGNOSES, RESEARCH_NOTICE
from lentigo_engines.base import Engine
from lentigo_inference.api.dependencies import CurrentState
from lentigo_inference.api.openapi import problem_responses
from lentigo_inference.api.schemas import (
    Label,
    ModelDetails,
    ModelList,
    ModelReference,
    ModelSignature,
    OutOfDistributionCheck,
)
from lentigo_inference.engines.measured import MeasuredEngine
from lentigo_inference.serving.decision import DecisionRule
from lentigo_inference.serving.model_slot import LoadedModel

router = APIRouter(tags=["models"])


@router.get("/v1/models", responses=problem_responses())
async def models(state: CurrentState) -> ModelList:
    """Describe the version in use: its labels, thresholds and metrics.

    The list is empty while no model is loaded.
    """
    current = state.slot.current
    return ModelList(models=[] if current is None else [model_details(current)])


def model_reference(model: LoadedModel) -> ModelReference:
    """Return the short description of a version that every response carries."""
    manifest = model.stored.manifest
    return ModelReference(
        name=manifest.name,
        version=str(manifest.version),
        architecture=manifest.architecture,
        engine=model.engine.name,
        digest=model.manifest_sha256,
    )


_MALIGNANT: Final = ", ".join(each.code for each in DIAGNOSES if each.malignant)
_SUM: Final = f"sum of the probabilities of {_MALIGNANT}"


def _threshold_source(rule: DecisionRule) -> str:
    if rule.prevalence_source != "clinic":
        return rule.thresholds.source
    return (
        f"{rule.thresholds.source}; moved from {rule.thresholds.malignancy:.3g} to the prevalence "
        "of this clinic, so that it refers the same lesions"
    )


def _speeds(engine: Engine) -> dict[str, float] | None:
    if not isinstance(engine, MeasuredEngine):
        return None
    return {name: round(speed, 1) for name, speed in engine.images_per_second.items()}


def model_details(model: LoadedModel) -> ModelDetails:
    """Return what `/v1/models` says of a version."""
    manifest, rule = model.stored.manifest, model.rule
    check = manifest.unlikeness
    copied = manifest.model_dump(mode="json", include={"created", "dataset", "parameters"})
    return ModelDetails(
        **model_reference(model).model_dump(),
        **copied,
        engine_speeds=_speeds(model.engine),
        license=manifest.license,
        labels=[
            Label(
                code=diagnosis.code,
                name=diagnosis.name,
                malignant=diagnosis.malignant,
                icd10=list(diagnosis.icd10),
            )
            for diagnosis in DIAGNOSES
        ],
        decided_by=rule.decided_by,
        decided_by_reason=rule.reason,
        prevalence=rule.prevalence,
        prevalence_source=rule.prevalence_source,
        malignancy_source=_SUM if rule.calibration is None else rule.calibration.source,
        threshold=rule.threshold,
        threshold_source=_threshold_source(rule),
        abstention_threshold=manifest.thresholds.abstention,
        abstention_source=manifest.thresholds.abstention_source,
        unlikeness=None if check is None else OutOfDistributionCheck(**check.model_dump()),
        compression=None if manifest.compression is None else list(manifest.compression.steps),
        forced=manifest.forced,
        signature=ModelSignature(state=model.signature.state, key=model.signature.key),
        metrics=manifest.metrics,
        notice=RESEARCH_NOTICE,
    )
