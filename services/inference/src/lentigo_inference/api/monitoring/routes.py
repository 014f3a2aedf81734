"""`GET /v1/monitoring`: confirmed against said, and drift of the input, for the version in use."""

import asyncio

from fastapi import APIRouter

from lentigo_contract.labels import RESEARCH_NOTICE
from lentigo_inference.api.dependencies import CurrentState
from lentigo_inference.api.models import model_reference
from lentigo_inference.api.monitoring.schemas import (
    ConfirmedFigures,
    InputFigures,
    MonitoringReport,
)
from lentigo_inference.api.openapi import problem_responses
from lentigo_inference.errors import AuditFileError, AuditUnavailableError
from lentigo_inference.monitoring.monitor import Monitor
from lentigo_inference.serving.model_slot import LoadedModel

router = APIRouter(tags=["monitoring"])


@router.get("/v1/monitoring", responses=problem_responses(503))
async def monitoring(state: CurrentState) -> MonitoringReport:
    """Tell how the version in use does here.

    `confirmed` is what the feedback of all instances on the same audit trail says; `input` is about
    the images that this instance answered. A figure of too few examples is null.
    """
    return await asyncio.to_thread(_report, state.monitor, state.slot.require())


def _report(monitor: Monitor, model: LoadedModel) -> MonitoringReport:
    try:
        monitor.refresh()
    except AuditFileError as error:
        raise AuditUnavailableError("The audit trail cannot be read. Try again.") from error
    agreement, seen = monitor.agreement(model), monitor.input_of(model)
    return MonitoringReport(
        model=model_reference(model),
        confirmed=ConfirmedFigures.model_validate(agreement, from_attributes=True),
        input=InputFigures.model_validate(seen, from_attributes=True),
        notice=RESEARCH_NOTICE,
    )
