"""Images of an archive for who scores them: what a query finds, and the frames of an instance.

`lentigo-inference score` uses this module and nothing else of the gateway, so that it reads an
instance as the gateway does: the same classes, limits and decoders, and never a result of ours.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pydicom import Dataset

from lentigo_gateway.archive.dicomweb import DicomWeb
from lentigo_gateway.archive.query_results import (
    IMAGE_FIELDS,
    found_in_result,
    frames_in,
    header_in,
)
from lentigo_gateway.config import ImagesConfig
from lentigo_gateway.errors import (
    ConfigError,
    NotDicomError,
    NotTakenError,
    PixelsError,
    ServerUnavailableError,
    SignInRefusedError,
    TryAgainError,
    UnreadableInstanceError,
)
from lentigo_gateway.pixels.frames import FrameImage, frame_images
from lentigo_gateway.pixels.reading import found_in, header_of, read_dataset
from lentigo_gateway.rules import ACCEPTED_CLASSES, Rule, takes
from lentigo_gateway.worklist.entries import DICOMWEB, Found

PAGE: Final = 200
"""Instances that a query asks for at once."""

QUERY_KEYS: Final = frozenset(
    {
        "BodyPartExamined",
        "InstitutionName",
        "Manufacturer",
        "ManufacturerModelName",
        "Modality",
        "ModalitiesInStudy",
        "SOPClassUID",
        "SOPInstanceUID",
        "SeriesDescription",
        "SeriesInstanceUID",
        "StationName",
        "StudyDate",
        "StudyDescription",
        "StudyInstanceUID",
        "StudyTime",
    }
)
"""What a query may name. None of them names a patient, as the query stands in the results."""

_SOP_CLASS: Final = "SOPClassUID"
# Whatever the query finds and the gateway can read: the query is the rule.
_RULES: Final = (Rule(),)
# Seconds before a second and a third attempt.
_DELAYS_S: Final = (1.0, 4.0)
_LONGEST_DELAY_S: Final = 60.0

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class ListedInstance:
    """An instance that a query has found.

    Attributes:
        sop_instance_uid: UID of the instance.
        series_instance_uid: UID of its series.
        study_instance_uid: UID of its study.
        frames: as the archive says; 0 for what is not read: no photograph, or a result of ours.
    """

    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str
    frames: int


@dataclass(frozen=True, slots=True)
class Page:
    """A part of what a query finds.

    Attributes:
        instances: all that have UIDs.
        received: instances in the response.
    """

    instances: tuple[ListedInstance, ...]
    received: int


class ArchivedImages:
    """The images of an archive that match a query; for several threads."""

    def __init__(
        self,
        archive: DicomWeb,
        query: Mapping[str, str],
        limits: ImagesConfig,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        """Prepare; nothing is asked yet.

        Args:
            archive: who is asked.
            query: attributes by keyword, see `QUERY_KEYS`.
            limits: of an instance and its frames.
            wait: waits so many seconds before another attempt.

        Raises:
            ConfigError: the query has another key, or a class that cannot be read.
        """
        _check_query(query)
        self._archive = archive
        self._query = dict(query)
        self._limits = limits
        self._wait = wait

    @property
    def classes(self) -> tuple[str, ...]:
        """SOP classes that are asked for, one after the other."""
        named = self._query.get(_SOP_CLASS)
        return (named,) if named else tuple(sorted(ACCEPTED_CLASSES))

    def page(self, sop_class: str, offset: int) -> Page:
        """Return instances of a class from a place in the archive's list of them.

        Raises:
            ServerUnavailableError, TryAgainError: the archive is away or fails, also later.
        """
        query: dict[str, str | int] = {
            **self._query,
            _SOP_CLASS: sop_class,
            "limit": PAGE,
            "offset": offset,
        }
        results = self._persistently(lambda: self._archive.search(query, IMAGE_FIELDS))
        listed = (_listed(each) for each in results)
        return Page(tuple(each for each in listed if each is not None), len(results))

    def rows(self, instance: ListedInstance) -> int:
        """Return how many images an instance is: its frames, or one if it has too many."""
        return instance.frames if instance.frames <= self._limits.max_frames else 1

    def read(self, instance: ListedInstance) -> Iterator[FrameImage]:
        """Fetch an instance, and return its frames, each of which is decoded when it is asked for.

        Raises:
            InstanceError: it is not what it should be; also while its frames are decoded.
            InstanceGoneError: the archive no longer has it.
            UnreadableInstanceError: the archive fails at it, time and again, and works otherwise.
            ServerUnavailableError, TryAgainError: the archive is away or fails, also later.
        """
        found = Found(
            instance.sop_instance_uid,
            instance.series_instance_uid,
            instance.study_instance_uid,
            DICOMWEB,
        )
        image = read_dataset(self._retrieve(found), self._limits.max_bytes)
        if found_in(image, found.locator) != found:
            raise NotTakenError("The archive sent another instance than was asked for.")
        if not takes(_RULES, header_of(image)):
            raise NotTakenError("The instance is no photograph, or a result of ours.")
        if _frames(image) != instance.frames:
            raise PixelsError("The archive's answer to the query has another number of frames.")
        return frame_images(image, self._limits)

    def _retrieve(self, found: Found) -> bytes:
        try:
            return self._persistently(lambda: self._archive.retrieve(found, self._limits.max_bytes))
        except TryAgainError as error:
            # Raises if it is not the instance's doing.
            self._archive.healthy()
            raise UnreadableInstanceError(str(error)) from error

    def _persistently(self, ask: Callable[[], _Result]) -> _Result:
        for delay_s in _DELAYS_S:
            try:
                return ask()
            except SignInRefusedError:
                raise
            except TryAgainError:
                self._wait(delay_s)
            except ServerUnavailableError as error:
                self._wait(min(max(delay_s, error.retry_after_s or 0.0), _LONGEST_DELAY_S))
        return ask()


def _check_query(query: Mapping[str, str]) -> None:
    unknown = sorted(set(query) - QUERY_KEYS)
    if unknown:
        raise ConfigError(
            f"A query cannot name {', '.join(unknown)}. It may name {', '.join(sorted(QUERY_KEYS))}"
            ": nothing of a patient, as it stands in the results."
        )
    named = query.get(_SOP_CLASS)
    if named is not None and named not in ACCEPTED_CLASSES:
        raise ConfigError(
            f"Instances of the SOP class {named} cannot be read. One of these can: "
            f"{', '.join(sorted(ACCEPTED_CLASSES))}."
        )


def _listed(result: Mapping[str, Any]) -> ListedInstance | None:
    """Return an instance of a response; None if it does not say which one it is."""
    try:
        found = found_in_result(result)
    except NotDicomError:
        return None
    return ListedInstance(
        found.sop_instance_uid,
        found.series_instance_uid,
        found.study_instance_uid,
        max(1, frames_in(result)) if takes(_RULES, header_in(result)) else 0,
    )


def _frames(image: Dataset) -> int:
    try:
        return max(1, int(image.get("NumberOfFrames") or 1))
    except Exception as error:
        # pydicom meets hostile bytes here, and its messages may quote them.
        raise PixelsError("The description of the pixels is damaged.") from error
