"""`POST /v1/predictions` and `POST /v1/predictions:batch`: images in, diagnoses out.

Follow a request from the top: `predict` reads the upload, `Predictor.predict` decodes it and runs
the model, `prediction_response` makes the JSON, and `put_on_record` records it. `offer_to_shadow`
then shows the image to the version on trial.
"""

import math
from collections.abc import Sequence
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from lentigo_contract.errors import LentigoError
from lentigo_contract.fhir.elements import MEDIA_TYPE
from lentigo_inference.api.accounting import put_on_record
from lentigo_inference.api.dependencies import AppState, CurrentState, admitted
from lentigo_inference.api.fhir.negotiation import PredictionMediaType
from lentigo_inference.api.fhir.responses import BUNDLE, bundle_response
from lentigo_inference.api.openapi import PREDICTIONS, image_body, images_body, problem_responses
from lentigo_inference.api.predictions.responses import prediction_response
from lentigo_inference.api.predictions.schemas import BatchResponse, PredictionResponse
from lentigo_inference.api.predictions.shadowing import offer_to_shadow
from lentigo_inference.api.problems import problem_of_error
from lentigo_inference.api.requests.disconnect import cancel_on_disconnect
from lentigo_inference.api.requests.multipart import FIELD
from lentigo_inference.api.requests.uploads import read_upload, read_uploads
from lentigo_inference.api.schemas import Problem
from lentigo_inference.serving.judgement import Explain, PredictionOptions, PredictionResult

router = APIRouter(tags=[PREDICTIONS])

MAX_IMAGES: Final = 32
"""Images in one batch request at most."""

_WITH_DESCRIPTION: Final = 2
"""A prediction with a description counts as so many: it takes another thread and more memory."""

ExplainParameter = Annotated[
    bool | Literal["all"],
    Query(
        description="`true` adds the activation map of the diagnosis, `all` also those of all "
        "seven."
    ),
]
ForceParameter = Annotated[
    bool,
    Query(
        description="`true` asks for a diagnosis even if the image cannot be judged; `quality` "
        "still says so."
    ),
]
DescribeParameter = Annotated[
    bool,
    Query(
        description="`true` adds what the lesion looks like: asymmetry, border, colours and "
        "diameter in pixels. It plays no part in the diagnosis."
    ),
]


@router.post(
    "/v1/predictions",
    response_model=PredictionResponse,
    responses={
        **problem_responses(400, 406, 408, 413, 415, 422, 500, 503),
        200: {"content": {MEDIA_TYPE: BUNDLE}},
    },
    openapi_extra=image_body(FIELD),
)
async def predict(
    request: Request,
    state: CurrentState,
    media_type: PredictionMediaType,
    *,
    explain: ExplainParameter = False,
    force: ForceParameter = False,
    describe: DescribeParameter = False,
) -> PredictionResponse | Response:
    """Predict the diagnosis of one dermatoscopic image, if it can be judged.

    `Accept: application/fhir+json` returns the answer as a transaction Bundle of FHIR R4, which
    has neither activation maps nor a description.
    """
    settings = state.settings
    # Checked before the upload is read, so that a refusal costs no upload.
    state.slot.require()
    describe = describe and media_type != MEDIA_TYPE
    with admitted(request, state, _WITH_DESCRIPTION if describe else 1) as hold:
        data = await read_upload(
            request, settings.max_upload_bytes, settings.upload_timeout_s, hold=hold
        )
        options = PredictionOptions(_maps(explain), force, describe)
        result = await cancel_on_disconnect(
            request, state.predictor.predict(data, options, request.state.record)
        )
        response = prediction_response(result)
        await put_on_record(request, state, [(response, result.model)], options)
        offer_to_shadow(state, [(response, result)], options)
    state.monitor.observe(result)
    _note(request, response)
    if media_type == MEDIA_TYPE:
        return bundle_response(request, response, result.model, state.codes)
    return response


@router.post(
    "/v1/predictions:batch",
    responses=problem_responses(400, 408, 413, 415, 500, 503),
    openapi_extra=images_body(FIELD, MAX_IMAGES),
)
async def predict_batch(
    request: Request,
    state: CurrentState,
    *,
    force: ForceParameter = False,
    describe: DescribeParameter = False,
) -> BatchResponse:
    """Predict the diagnosis of up to 32 images, all with the same model version.

    The results have the order of the images. If an image fails, a problem stands in its place.
    """
    settings = state.settings
    # Checked before the upload is read, so that a refusal costs no upload.
    state.slot.require()
    weight = math.ceil(settings.max_batch_bytes / settings.max_upload_bytes)
    if describe:
        # So many are described at the same time.
        weight += settings.decode_threads
    with admitted(request, state, weight) as hold:
        uploads = await read_uploads(
            request,
            max_image_bytes=settings.max_upload_bytes,
            max_images=MAX_IMAGES,
            max_bytes=settings.max_batch_bytes,
            timeout_s=settings.upload_timeout_s,
            hold=hold,
        )
        options = PredictionOptions(force=force, describe=describe)
        results = await cancel_on_disconnect(
            request,
            state.predictor.predict_each(
                uploads,
                options,
                at_once=settings.decode_threads,
                record=request.state.record,
            ),
        )
        answers = await _answers(request, state, results, options)
    return BatchResponse(results=[_noted(request, each) for each in answers])


def _maps(explain: bool | Literal["all"]) -> Explain:
    if explain == "all":
        return "all"
    return "top" if explain else "none"


async def _answers(
    request: Request,
    state: AppState,
    results: Sequence[PredictionResult | LentigoError],
    options: PredictionOptions,
) -> list[PredictionResponse | LentigoError]:
    """Return the answers to several images, which are on record, and the errors between them."""
    answers = [
        (prediction_response(each), each) if isinstance(each, PredictionResult) else each
        for each in results
    ]
    given = [each for each in answers if not isinstance(each, LentigoError)]
    recorded = [(response, result.model) for response, result in given]
    await put_on_record(request, state, recorded, options)
    for each in results:
        if isinstance(each, PredictionResult):
            state.monitor.observe(each)
    offer_to_shadow(state, given, options)
    return [each if isinstance(each, LentigoError) else each[0] for each in answers]


def _noted(
    request: Request, answer: PredictionResponse | LentigoError
) -> PredictionResponse | Problem:
    """Note the answer to the next image for the log; of an error, return the problem."""
    if isinstance(answer, LentigoError):
        return problem_of_error(request, answer)
    _note(request, answer)
    return answer


def _note(request: Request, response: PredictionResponse) -> None:
    request.state.record.answer(response.id, refer=response.malignancy.refer)
