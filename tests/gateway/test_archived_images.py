"""What a query finds in an archive, and the frames of an instance, for who scores them."""

from collections.abc import Mapping
from dataclasses import replace

import httpx
import numpy as np
import pytest
from pydicom import Dataset

from lentigo_gateway.archive.dicomweb import DicomWeb
from lentigo_gateway.archived_images import ArchivedImages, ListedInstance
from lentigo_gateway.config import ImagesConfig
from lentigo_gateway.errors import (
    BoundsError,
    ConfigError,
    InstanceGoneError,
    NotTakenError,
    PixelsError,
    ServerUnavailableError,
    SignInRefusedError,
    TryAgainError,
    UnreadableInstanceError,
)
from lentigo_gateway.pixels.frames import frame_images
from tests.gateway.dicom import DERMOSCOPIC, dermoscopic, multi_frame, uncompressed
from tests.gateway.servers import FakeArchive, Fault

SR = "1.2.840.10008.5.1.4.1.1.88.34"
CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def archived(
    archive: FakeArchive,
    query: Mapping[str, str] | None = None,
    limits: ImagesConfig | None = None,
    waited: list[float] | None = None,
) -> ArchivedImages:
    delays: list[float] = [] if waited is None else waited
    return ArchivedImages(
        DicomWeb(archive.http("archive")), query or {}, limits or ImagesConfig(), delays.append
    )


def listed(image: Dataset, frames: int = 1) -> ListedInstance:
    return ListedInstance(
        str(image.SOPInstanceUID),
        str(image.SeriesInstanceUID),
        str(image.StudyInstanceUID),
        frames,
    )


def of_instance(request: httpx.Request) -> bool:
    return "/series/" in request.url.path


class FailingArchive(FakeArchive):
    """Fails at instances, and answers queries."""

    def handle(self, request: httpx.Request) -> httpx.Response:
        if of_instance(request):
            self.asked.append(request)
            return httpx.Response(500)
        return super().handle(request)


def test_a_query_asks_for_what_it_names_page_by_page_and_for_nothing_of_a_patient() -> None:
    archive = FakeArchive()
    for number in range(450):
        archive.put(dermoscopic(number))
    images = archived(archive, {"Modality": "DMS", "StudyDate": "20260101-"})
    pages = [images.page(DERMOSCOPIC, offset) for offset in (0, 200, 400)]
    assert [page.received for page in pages] == [200, 200, 50]
    uids = [each.sop_instance_uid for page in pages for each in page.instances]
    assert len(set(uids)) == 450
    asked = archive.asked[1].url.params
    assert asked["offset"] == "200"
    assert (asked["Modality"], asked["StudyDate"]) == ("DMS", "20260101-")
    assert "Patient" not in str(archive.asked[0].url)


def test_a_result_of_ours_is_listed_as_what_is_not_read() -> None:
    archive = FakeArchive()
    archive.put(dermoscopic(1))
    archive.put(dermoscopic(2, Manufacturer="Lentigo"))
    archive.put(multi_frame(3, SOPInstanceUID="1.2.3"))
    found = archived(archive).page(DERMOSCOPIC, 0)
    assert [each.frames for each in found.instances] == [1, 0, 3]


def test_all_classes_that_can_be_read_are_asked_for_unless_the_query_names_one() -> None:
    assert len(archived(FakeArchive()).classes) == 4
    assert archived(FakeArchive(), {"SOPClassUID": CAPTURE}).classes == (CAPTURE,)


@pytest.mark.parametrize(
    "query", [{"PatientID": "MRN-1"}, {"limit": "1"}, {"00100020": "MRN-1"}, {"SOPClassUID": SR}]
)
def test_a_query_that_names_a_patient_or_what_cannot_be_read_is_refused(
    query: dict[str, str],
) -> None:
    with pytest.raises(ConfigError) as caught:
        archived(FakeArchive(), query)
    assert "MRN-1" not in str(caught.value)


@pytest.mark.parametrize(
    "image",
    [
        dermoscopic(1),
        multi_frame(3),
        uncompressed(np.full((40, 50, 3), 90, np.uint8)),
    ],
    ids=["jpeg", "frames", "uncompressed"],
)
def test_frames_are_what_the_gateway_sends_to_the_service(image: Dataset) -> None:
    archive = FakeArchive()
    archive.put(image)
    frames = int(image.get("NumberOfFrames", 1))
    found = list(archived(archive).read(listed(image, frames)))
    assert found == list(frame_images(image, ImagesConfig()))
    assert len(found) == frames


def test_an_instance_with_too_many_frames_is_one_row_and_refused() -> None:
    archive, image = FakeArchive(), multi_frame(5)
    archive.put(image)
    images = archived(archive, limits=ImagesConfig(max_frames=4))
    instance = listed(image, 5)
    assert images.rows(instance) == 1
    assert images.rows(replace(instance, frames=4)) == 4
    with pytest.raises(BoundsError, match="5 frames"):
        next(images.read(instance))


def test_an_archive_that_hides_frames_is_noticed() -> None:
    archive, image = FakeArchive(), multi_frame(3)
    archive.put(image)
    with pytest.raises(PixelsError, match="another number of frames"):
        archived(archive).read(listed(image, 1))


@pytest.mark.parametrize(
    "sent",
    [dermoscopic(1, Manufacturer="Lentigo"), dermoscopic(1, SOPClassUID=SR), dermoscopic(2)],
    ids=["ours", "report", "another"],
)
def test_what_is_no_photograph_of_the_archive_is_not_read(sent: Dataset) -> None:
    archive, image = FakeArchive(), dermoscopic(1)
    archive.put(sent)
    archive.instances[str(image.SOPInstanceUID)] = next(iter(archive.instances.values()))
    with pytest.raises(NotTakenError):
        archived(archive).read(listed(image))


def test_an_instance_that_is_gone_is_not_tried_again() -> None:
    archive = FakeArchive()
    with pytest.raises(InstanceGoneError):
        archived(archive).read(listed(dermoscopic(1)))
    assert len(archive.asked) == 1


@pytest.mark.parametrize(
    ("fault", "delays"),
    [
        (httpx.Response(500), [1.0]),
        (httpx.ReadTimeout("nothing came"), [1.0]),
        (httpx.ConnectError("no route"), [1.0]),
        (httpx.Response(503, headers={"Retry-After": "7"}), [7.0]),
        (httpx.Response(503, headers={"Retry-After": "86400"}), [60.0]),
    ],
)
def test_a_failure_that_passes_costs_a_wait_and_nothing_else(
    fault: Fault, delays: list[float]
) -> None:
    archive, image = FakeArchive(faults=[fault]), dermoscopic(1)
    archive.put(image)
    waited: list[float] = []
    assert len(list(archived(archive, waited=waited).read(listed(image)))) == 1
    assert waited == delays


def test_an_archive_that_fails_at_one_instance_alone_costs_that_instance() -> None:
    archive, image = FailingArchive(), dermoscopic(1)
    archive.put(image)
    with pytest.raises(UnreadableInstanceError, match="500"):
        archived(archive).read(listed(image))
    assert sum(map(of_instance, archive.asked)) == 3


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (httpx.Response(500), TryAgainError),
        (httpx.ReadTimeout("nothing came"), TryAgainError),
        (httpx.ConnectError("no route"), ServerUnavailableError),
    ],
)
def test_an_archive_that_fails_at_everything_is_no_fault_of_an_instance(
    fault: Fault, error: type[Exception]
) -> None:
    archive = FakeArchive(down=fault)
    with pytest.raises(error):
        archived(archive).read(listed(dermoscopic(1)))
    with pytest.raises(error):
        archived(archive).page(DERMOSCOPIC, 0)


def test_a_key_that_is_refused_is_not_tried_again() -> None:
    archive = FakeArchive(down=httpx.Response(401))
    waited: list[float] = []
    with pytest.raises(SignInRefusedError, match="401"):
        archived(archive, waited=waited).page(DERMOSCOPIC, 0)
    assert waited == []
