"""The description of a lesion beside its prediction, which it never fails."""

import time
from typing import Final

import structlog

from lentigo_contract.description.describe import Description, describe
from lentigo_inference.observability.records import RequestRecord, Step
from lentigo_inference.serving.decoding import DecodedUpload

_log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

NOT_READY: Final = Description(None, "failed")
"""When a description failed, or was not ready in time."""


def describe_upload(upload: DecodedUpload, record: RequestRecord, *, force: bool) -> Description:
    """Describe the lesion of an image; whatever goes wrong, there is an answer.

    Takes as long for any image, because it works on the network's input.

    Args:
        upload: the decoded image.
        record: gets the time.
        force: whether to describe also an image that cannot be judged.
    """
    if upload.issues and not force:
        return Description(None, "unusable")
    image, started = upload.image, time.monotonic()
    try:
        return describe(image.pixels, image.width, image.height)
    except Exception:  # noqa: BLE001 - a prediction is worth more than its description
        _log.exception("lesion not described")
        return NOT_READY
    finally:
        record.steps.append(Step("describe", started, time.monotonic()))
