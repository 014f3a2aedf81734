"""`GET /fhir/metadata`: what the service can do in FHIR."""

from fastapi import APIRouter
from starlette.requests import Request

from lentigo_contract.fhir.conformance import capability_statement
from lentigo_contract.fhir.elements import MEDIA_TYPE
from lentigo_inference.api.fhir.negotiation import JSON, negotiate
from lentigo_inference.api.fhir.responses import FhirResponse
from lentigo_inference.api.openapi import problem_responses

router = APIRouter(tags=["fhir"])


@router.get(
    "/fhir/metadata",
    response_class=FhirResponse,
    responses={
        **problem_responses(406),
        200: {
            "description": "A CapabilityStatement of FHIR R4",
            "content": {
                MEDIA_TYPE: {
                    "schema": {"type": "object", "required": ["resourceType"]},
                    "example": {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"},
                }
            },
        },
    },
)
async def metadata(request: Request) -> FhirResponse:
    """Return the CapabilityStatement. It is open to all, as FHIR has it."""
    wanted = negotiate(request, (MEDIA_TYPE, JSON))
    return FhirResponse(capability_statement(), media_type=wanted, headers={"Vary": "Accept"})
