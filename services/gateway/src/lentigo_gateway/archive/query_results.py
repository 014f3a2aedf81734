"""What a response to QIDO-RS says of an instance, in DICOM JSON (DICOM PS3.18, annex F)."""

from collections.abc import Mapping
from typing import Any, Final

from lentigo_gateway.rules import InstanceHeader
from lentigo_gateway.worklist.entries import DICOMWEB, Found

_SOP_CLASS: Final = "00080016"
_SOP_INSTANCE: Final = "00080018"
_STATION: Final = "00081010"
_STUDY_DESCRIPTION: Final = "00081030"
_SERIES_DESCRIPTION: Final = "0008103E"
_MODALITY: Final = "00080060"
_MANUFACTURER: Final = "00080070"
_BODY_SITE: Final = "00180015"
_VERIFICATION: Final = "0040A493"
_STUDY: Final = "0020000D"
_SERIES: Final = "0020000E"
_FRAMES: Final = "00280008"

HEADER_FIELDS: Final = (
    _STATION,
    _STUDY_DESCRIPTION,
    _SERIES_DESCRIPTION,
    _MODALITY,
    _MANUFACTURER,
    _BODY_SITE,
    _VERIFICATION,
)
"""Attributes that rules look at, for `includefield`."""

IMAGE_FIELDS: Final = (_MANUFACTURER, _FRAMES)
"""Attributes that tell an image from a result of ours, and how many frames it has."""


def header_in(result: Mapping[str, Any]) -> InstanceHeader:
    """Return what rules look at."""
    return InstanceHeader(
        sop_class=_text(result, _SOP_CLASS),
        modality=_text(result, _MODALITY),
        body_site=_text(result, _BODY_SITE),
        station=_text(result, _STATION),
        descriptions=(_text(result, _STUDY_DESCRIPTION), _text(result, _SERIES_DESCRIPTION)),
        manufacturer=_text(result, _MANUFACTURER),
    )


def found_in_result(result: Mapping[str, Any]) -> Found:
    """Return which instance it is.

    Raises:
        NotDicomError: a UID is none.
    """
    return Found(
        sop_instance_uid=_text(result, _SOP_INSTANCE),
        series_instance_uid=_text(result, _SERIES),
        study_instance_uid=_text(result, _STUDY),
        locator=DICOMWEB,
    )


def frames_in(result: Mapping[str, Any]) -> int:
    """Return the number of frames; 1 if it does not say, as instances of one frame do not."""
    try:
        return int(_first(result, _FRAMES))
    except (TypeError, ValueError):
        return 1


def verification_in(result: Mapping[str, Any]) -> str:
    """Return the Verification Flag of a structured report."""
    return _text(result, _VERIFICATION)


def _text(result: Mapping[str, Any], tag: str) -> str:
    value = _first(result, tag)
    return value.strip(" \0") if isinstance(value, str) else ""


def _first(result: Mapping[str, Any], tag: str) -> Any:  # noqa: ANN401 - JSON
    try:
        return result[tag]["Value"][0]
    except (KeyError, IndexError, TypeError):
        return None
