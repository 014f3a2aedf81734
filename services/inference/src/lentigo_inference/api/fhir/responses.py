"""The answer to one image as a FHIR Bundle."""

from datetime import UTC, datetime
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse

from lentigo_contract.fhir.accountability import Requester
from lentigo_contract.fhir.bundle import prediction_bundle
from lentigo_contract.fhir.codes import CodeMap
from lentigo_contract.fhir.elements import MEDIA_TYPE, Resource
from lentigo_contract.prediction import read_prediction
from lentigo_inference.api.dependencies import caller_of
from lentigo_inference.api.predictions.schemas import PredictionResponse
from lentigo_inference.serving.model_slot import LoadedModel

BUNDLE: Final[dict[str, Any]] = {
    "schema": {
        "type": "object",
        "description": "A transaction Bundle of FHIR R4; docs/fhir has its profiles.",
        "required": ["resourceType", "type", "entry"],
        "properties": {
            "resourceType": {"const": "Bundle"},
            "type": {"const": "transaction"},
            "timestamp": {"type": "string"},
            "entry": {"type": "array", "items": {"type": "object"}},
        },
    },
    "example": {
        "resourceType": "Bundle",
        "type": "transaction",
        "timestamp": "2026-11-30T10:00:00.000Z",
        "entry": [],
    },
}
"""How the OpenAPI document describes the Bundle."""


class FhirResponse(JSONResponse):
    """A resource."""

    media_type = MEDIA_TYPE


def bundle_response(
    request: Request, response: PredictionResponse, model: LoadedModel, codes: CodeMap
) -> FhirResponse:
    """Return the answer to an image as a Bundle. Activation maps are not in it."""
    document = response.model_dump(mode="json")
    document["model"]["digest"] = model.manifest_sha256
    caller = caller_of(request)
    bundle: Resource = prediction_bundle(
        read_prediction(document),
        answered=datetime.now(UTC),
        codes=codes,
        requester=Requester(caller.request_id, caller.key, caller.client),
    )
    return FhirResponse(bundle, headers={"Vary": "Accept"})
