"""`GET /v1/models`: the model version in use."""

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
    OutOfDistributionCheck,
)
from lentigo_inference.engines.measured import MeasuredEngine
from lentigo_inference.serving.model_slot import LoadedModel

router = APIRouter(tags=["models"])


@router.get("/v1/models", responses=problem_responses())
async def models(state: CurrentState) -> ModelList:
    """Describe the version in use: its labels, thresholds and metrics.

    The list is empty while no model is loaded.
    """
    current = state.slot.current
    return ModelList(models=[] if current is None else [_details(current)])


def model_reference(model: LoadedModel) -> ModelReference:
    """Return the short description of a version that every response carries."""
    manifest = model.stored.manifest
    return ModelReference(
        name=manifest.name, version=str(manifest.version), architecture=manifest.architecture
    )


def _speeds(engine: Engine) -> dict[str, float] | None:
    if not isinstance(engine, MeasuredEngine):
        return None
    return {name: round(speed, 1) for name, speed in engine.images_per_second.items()}


def _details(model: LoadedModel) -> ModelDetails:
    manifest = model.stored.manifest
    check = manifest.unlikeness
    copied = manifest.model_dump(mode="json", include={"created", "dataset", "parameters"})
    return ModelDetails(
        **model_reference(model).model_dump(),
        **copied,
        engine=model.engine.name,
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
        threshold=manifest.thresholds.malignancy,
        threshold_source=manifest.thresholds.source,
        abstention_threshold=manifest.thresholds.abstention,
        abstention_source=manifest.thresholds.abstention_source,
        unlikeness=None if check is None else OutOfDistributionCheck(**check.model_dump()),
        metrics=manifest.metrics,
        notice=RESEARCH_NOTICE,
    )
