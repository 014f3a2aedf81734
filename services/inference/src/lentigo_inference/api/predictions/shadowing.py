"""Offers images that were answered to the shadow version, if there is one.

It happens after an answer is on record, and changes nothing about it.
"""

from collections.abc import Iterable

from lentigo_inference.api.dependencies import AppState
from lentigo_inference.api.predictions.schemas import PredictionResponse
from lentigo_inference.audit.records import Served
from lentigo_inference.serving.judgement import PredictionOptions, PredictionResult
from lentigo_inference.shadow.process import Offer


def offer_to_shadow(
    state: AppState,
    answers: Iterable[tuple[PredictionResponse, PredictionResult]],
    options: PredictionOptions,
) -> None:
    """Have images answered by the shadow version too; never waits and never fails.

    An image whose pixels alone were reason enough to withhold a diagnosis is left out: no version
    would see it.
    """
    if state.shadow is None:
        return
    for response, result in answers:
        upload = result.upload
        if upload.issues and result.decision is None:
            continue
        diagnosis = response.diagnosis
        served = Served(
            response.id,
            upload.sha256,
            result.model.version,
            None if diagnosis is None else diagnosis.code,
            response.malignancy.refer,
        )
        state.shadow.offer(Offer(served, upload.image.pixels, upload.issues, options.force))
