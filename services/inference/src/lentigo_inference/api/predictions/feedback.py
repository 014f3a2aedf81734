"""`POST /v1/predictions/{id}/feedback`: what the lesion turned out to be."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path
from starlette.requests import Request

from lentigo_contract.labels import RESEARCH_NOTICE
from lentigo_inference.api.dependencies import CurrentState, caller_of
from lentigo_inference.api.openapi import json_body, problem_responses
from lentigo_inference.api.requests.uploads import read_json
from lentigo_inference.api.schemas import FeedbackRequest, FeedbackResponse
from lentigo_inference.audit.records import feedback
from lentigo_inference.errors import AuditFileError, AuditUnavailableError, UnknownAnswerError
from lentigo_inference.observability.identifiers import uuid7

router = APIRouter(tags=["feedback"])

AnswerId = Annotated[UUID, Path(alias="id", description="`id` of the prediction.")]


@router.post(
    "/v1/predictions/{id}/feedback",
    responses=problem_responses(400, 404, 408, 415, 503),
    openapi_extra=json_body(FeedbackRequest, required=True),
)
async def give_feedback(
    request: Request, state: CurrentState, answer_id: AnswerId
) -> FeedbackResponse:
    """Put the confirmed diagnosis of a lesion on record, for a prediction that was answered.

    All feedback is kept. Where there is more than one for a prediction, the latest counts.
    """
    with state.shutdown.accepted():
        given = await read_json(request, FeedbackRequest, state.settings.upload_timeout_s)
        if state.audit is None:
            raise UnknownAnswerError(
                "This service keeps no audit trail, so it knows no answer by its id. "
                "LENTIGO_AUDIT_DIR turns it on."
            )
        try:
            answered = await state.audit.finder.find(answer_id)
        except AuditFileError as error:
            raise AuditUnavailableError("The audit trail cannot be read. Try again.") from error
        if answered is None:
            raise UnknownAnswerError(
                "No answer with this id is in the audit trail of this service. Send the id of a "
                "prediction that this service answered within the time that its trail is kept."
            )
        feedback_id = str(uuid7())
        record = feedback(
            feedback_id, caller_of(request), answered, given.diagnosis, given.confirmed_by
        )
        # Also at best effort: whoever sends feedback can send it again, and must know.
        await state.audit.trail.record([record], durable=True)
    return FeedbackResponse(
        id=feedback_id,
        prediction=str(answer_id),
        said=answered["diagnosis"],
        diagnosis=given.diagnosis,
        confirmed_by=given.confirmed_by,
        notice=RESEARCH_NOTICE,
    )
