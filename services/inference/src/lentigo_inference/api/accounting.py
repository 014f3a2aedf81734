"""Puts answers on record before they leave, if there is an audit trail.

Every answer about an image passes here, by `put_on_record` from `/v1/predictions` and by
`put_tensors_on_record` from the Open Inference Protocol, and every act of administration.
"""

import hashlib
from collections.abc import Sequence

from starlette.requests import Request

from lentigo_contract.labels import CODES
from lentigo_engines.base import Images, Prediction
from lentigo_inference.api.dependencies import AppState, caller_of
from lentigo_inference.api.predictions.schemas import PredictionResponse
from lentigo_inference.audit.records import (
    Act,
    ModelInUse,
    Said,
    administration,
    answer,
    inference,
)
from lentigo_inference.serving.judgement import PredictionOptions
from lentigo_inference.serving.model_slot import LoadedModel

Answered = tuple[PredictionResponse, LoadedModel]
"""An answer, and the version that gave it."""


async def put_on_record(
    request: Request, state: AppState, answers: Sequence[Answered], options: PredictionOptions
) -> None:
    """Put answers on record, all of them or none; does nothing without an audit trail.

    Raises:
        AuditUnavailableError: the trail is required and cannot be written.
    """
    if state.audit is None or not answers:
        return
    caller = caller_of(request)
    await state.audit.trail.record(
        [
            answer(
                response.id,
                caller,
                response.image.sha256,
                _said(response),
                model_in_use(model, force=options.force),
            )
            for response, model in answers
        ]
    )


async def put_tensors_on_record(
    request: Request,
    state: AppState,
    images: Sequence[Images],
    prediction: Prediction,
    model: LoadedModel,
) -> None:
    """Put the probabilities of images on record that came as pixels.

    Raises:
        AuditUnavailableError: the trail is required and cannot be written.
    """
    if state.audit is None:
        return
    digests = await state.predictor.aside(
        lambda: [hashlib.sha256(pixels.tobytes()).hexdigest() for pixels in images]
    )
    said = list(zip(digests, prediction.probabilities.tolist(), strict=True))
    record = inference(caller_of(request), said, model_in_use(model))
    await state.audit.trail.record([record])


async def put_act_on_record(
    request: Request,
    state: AppState,
    act: Act,
    version: int | None = None,
    *,
    forced: bool = False,
) -> None:
    """Put an act of administration on record before it is done.

    Raises:
        AuditUnavailableError: the trail is required and cannot be written, so it must not be done.
    """
    if state.audit is not None:
        reason = "forced" if forced else ""
        await state.audit.trail.record([administration(act, version, caller_of(request), reason)])


def model_in_use(model: LoadedModel, **options: object) -> ModelInUse:
    """Return what is on record of a version, with what the request asked for besides."""
    return ModelInUse(
        model.stored.manifest.name,
        model.version,
        model.manifest_sha256,
        model.engine.name,
        {**model.rule.settings, **options},
    )


def _said(response: PredictionResponse) -> Said:
    by_code = {each.code: each.probability for each in response.probabilities}
    return Said(
        diagnosis=response.diagnosis.code if response.diagnosis else None,
        probabilities={code: by_code[code] for code in CODES} if by_code else {},
        malignancy=response.malignancy.probability,
        threshold=response.malignancy.threshold,
        refer=response.malignancy.refer,
        reasons=response.malignancy.reasons,
        quality=response.quality.reasons,
    )
