"""A DICOM archive as a source: its list, its order, its failures, and what is kept of them."""

import json
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from pydicom import Dataset
from pydicom.encaps import encapsulate, generate_frames

from lentigo_gateway.archive.dicomweb import DicomWeb
from lentigo_gateway.archived_images import ArchivedImages
from lentigo_gateway.config import ImagesConfig
from lentigo_gateway.observability.logging import silence_libraries
from lentigo_inference.errors import (
    FetchError,
    FetchFailure,
    ResultFolderError,
    ScoringStoppedError,
    SettingsError,
    SourceError,
)
from lentigo_inference.scoring.fetching import Fetcher
from lentigo_inference.scoring.items import Content, Unusable
from lentigo_inference.scoring.results import open_results
from lentigo_inference.scoring.run import Run
from lentigo_inference.scoring.sources.archive_address import (
    SIGN_IN,
    is_dicomweb,
    parse_address,
)
from lentigo_inference.scoring.sources.dicomweb import (
    READ_AHEAD,
    DicomWebSource,
    dicomweb_source,
)
from lentigo_inference.scoring.sources.instance_list import NAME, InstanceList
from tests.gateway.dicom import (
    PATIENT_ID,
    PATIENT_NAME,
    STUDY,
    dermoscopic,
    multi_frame,
)
from tests.gateway.servers import FakeArchive, Fault
from tests.inference.scoring.scoring_parts import (
    PART_SIZE,
    Bench,
    InlineWorkers,
    Watch,
    column,
    rows_of,
)

ADDRESS = "dicomweb+https://archive.test/dicom-web?Modality=DMS&StudyDate=20260101-"


@pytest.fixture(autouse=True)
def _silent_libraries() -> None:
    """As in the program; pytest takes filters of warnings back after each test."""
    silence_libraries()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def filled(*images: Dataset, archive: FakeArchive | None = None) -> FakeArchive:
    found = archive or FakeArchive()
    for image in images:
        found.put(image)
    return found


def source_of(
    archive: FakeArchive, folder: Path, stopped: Callable[[], None] = lambda: None
) -> DicomWebSource:
    folder.mkdir(exist_ok=True)
    images = ArchivedImages(
        DicomWeb(archive.http("archive")), {"Modality": "DMS"}, ImagesConfig(), lambda _s: None
    )
    return DicomWebSource(parse_address(ADDRESS), images, InstanceList(folder), stopped)


def listed_source(archive: FakeArchive, folder: Path) -> DicomWebSource:
    source = source_of(archive, folder)
    source.list_instances()
    return source


def contents(source: DicomWebSource) -> dict[str, bytes]:
    fetcher = Fetcher(2**20, timeout_s=5)
    return {found.path: fetcher.fetch(found.place()) for found in source.images()}


def score(bench: Bench, archive: FakeArchive, to: Path) -> Watch:
    """Score an archive as the command does, into a folder that may have some of it."""
    source, watch = source_of(archive, to), Watch()
    run = {"source": source.identity, "part_size": PART_SIZE, **bench.prepared.document}
    with open_results(to, run, bench.prepared.answered_by, PART_SIZE) as results:
        source.list_instances()
        Run(results, watch).score(source.images(), lambda: InlineWorkers(bench.scorer))
    return watch


class NeverEndingArchive(FakeArchive):
    """Has no pages: whatever is asked for, the same comes."""

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/instances"):
            request = httpx.Request("GET", request.url.copy_set_param("offset", "0"))
        return super().answer(request)


class SmallPages(FakeArchive):
    """Sends fewer instances than it is asked for."""

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/instances"):
            request = httpx.Request("GET", request.url.copy_set_param("limit", "7"))
        return super().answer(request)


class EndingArchive(FakeArchive):
    """Goes away after it has sent so many instances, whatever comes then."""

    sends = 10**9
    fault: Fault = httpx.Response(500)

    def answer(self, request: httpx.Request) -> httpx.Response:
        if "/series/" in request.url.path:
            if not self.sends:
                self.down = self.fault
                return self.handle(request)
            self.sends -= 1
        return super().answer(request)


def test_each_instance_and_each_frame_is_one_image_by_its_uid(tmp_path: Path) -> None:
    archive = filled(dermoscopic(1), multi_frame(3, SOPInstanceUID=f"{STUDY}.3.2"))
    found = contents(listed_source(archive, tmp_path))
    assert list(found) == [
        f"{STUDY}.3.1",
        *(f"{STUDY}.3.2/frames/{number}" for number in (1, 2, 3)),
    ]
    assert len(set(found.values())) == 3
    assert all(data.startswith(b"\xff\xd8") for data in found.values())


@pytest.mark.parametrize("archive", [FakeArchive(), SmallPages()], ids=["full", "short"])
def test_every_instance_of_every_page_is_listed_once(tmp_path: Path, archive: FakeArchive) -> None:
    filled(*(dermoscopic(number) for number in range(230)), archive=archive)
    paths = [found.path for found in listed_source(archive, tmp_path).images()]
    assert len(paths) == len(set(paths)) == 230


def test_what_arrives_after_the_list_was_made_changes_nothing(tmp_path: Path) -> None:
    archive = filled(*(dermoscopic(number) for number in range(5)))
    before = [found.path for found in listed_source(archive, tmp_path).images()]
    archive.instances = dict(reversed(archive.instances.items()))
    filled(dermoscopic(9), archive=archive)
    assert [found.path for found in listed_source(archive, tmp_path).images()] == before


def test_a_list_that_was_broken_off_is_gone_on_with(tmp_path: Path) -> None:
    archive = filled(*(dermoscopic(number) for number in range(450)))
    source = source_of(archive, tmp_path)

    def stop(count: int) -> None:
        if count == 400:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        source.list_instances(stop)
    archive.asked.clear()
    source.list_instances()
    assert archive.asked[0].url.params["offset"] == "400"
    assert len(list(source.images())) == 450


def test_an_archive_without_pages_is_one_line(tmp_path: Path) -> None:
    archive = filled(*(dermoscopic(number) for number in range(3)), archive=NeverEndingArchive())
    with pytest.raises(SourceError, match="no pages"):
        listed_source(archive, tmp_path)


def test_a_query_that_finds_nothing_is_one_line_and_may_find_something_later(
    tmp_path: Path,
) -> None:
    archive = filled(dermoscopic(1, Manufacturer="Lentigo"))
    with pytest.raises(SourceError, match="no photograph that matches"):
        listed_source(archive, tmp_path)
    filled(dermoscopic(2), archive=archive)
    assert [found.path for found in listed_source(archive, tmp_path).images()] == [f"{STUDY}.3.2"]


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        (httpx.ConnectError("no route"), "cannot be reached"),
        (httpx.ReadTimeout("nothing came"), "did not answer within"),
        (httpx.Response(500), "answered 500"),
        (httpx.Response(401), SIGN_IN["password_file"]),
        (httpx.Response(200, content=b"<html>"), "not JSON"),
        (httpx.Response(200, json={"no": "list"}), "no list"),
    ],
)
def test_an_archive_that_cannot_be_asked_is_one_line(
    tmp_path: Path, fault: Fault, line: str
) -> None:
    with pytest.raises(SourceError) as caught:
        listed_source(FakeArchive(down=fault), tmp_path)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        (httpx.ConnectError("no route"), "cannot be reached"),
        (httpx.ReadTimeout("nothing came"), "did not answer within"),
        (httpx.RemoteProtocolError("cut"), "broke off"),
        (httpx.Response(500), "answered 500"),
        (httpx.Response(403), "refuses our key"),
    ],
)
def test_an_archive_that_goes_away_in_the_middle_keeps_what_is_finished(
    tmp_path: Path, bench: Bench, fault: Fault, line: str
) -> None:
    archive = EndingArchive()
    filled(*(dermoscopic(number) for number in range(25)), archive=archive)
    archive.sends, archive.fault = 14, fault
    to = tmp_path / "out"
    with pytest.raises(SourceError, match=line):
        score(bench, archive, to)
    assert 10 <= len(rows_of(to)) < 25
    archive.down, archive.sends = None, 10**9
    watch = score(bench, archive, to)
    assert watch.skipped == 10
    rows = rows_of(to)
    assert column(rows, "item") == list(range(25))
    assert len(set(column(rows, "path"))) == 25
    assert column(rows, "error") == [None] * 25


def test_an_instance_that_cannot_be_had_is_one_row_with_the_reason(tmp_path: Path) -> None:
    many = multi_frame(20, SOPInstanceUID=f"{STUDY}.3.20")
    archive = filled(*(dermoscopic(number) for number in range(4)), many)
    source = listed_source(archive, tmp_path)
    archive.instances[f"{STUDY}.3.1"] = b"no DICOM"
    del archive.instances[f"{STUDY}.3.2"]
    fetcher = Fetcher(2**20, timeout_s=5)
    reasons = {}
    for found in source.images():
        place = found.place()
        if isinstance(place, Unusable):
            with pytest.raises(FetchError) as caught:
                fetcher.fetch(place)
            reasons[found.path] = caught.value.reason
    assert reasons == {
        f"{STUDY}.3.1": FetchFailure.UNUSABLE_INSTANCE,
        f"{STUDY}.3.2": FetchFailure.NOT_FOUND,
        f"{STUDY}.3.20": FetchFailure.UNUSABLE_INSTANCE,
    }


def test_a_damaged_frame_costs_the_frames_after_it_and_none_before(tmp_path: Path) -> None:
    # Without "YBR" it is decoded here, and not by the service.
    image = multi_frame(3, PhotometricInterpretation="RGB")
    frames = list(generate_frames(image.PixelData, number_of_frames=3))
    image.PixelData = encapsulate([frames[0], frames[1][:500], frames[2]])
    source = listed_source(filled(image), tmp_path)
    assert [isinstance(found.place(), Content) for found in source.images()] == [True, False, False]


def test_nothing_of_a_patient_is_kept(tmp_path: Path, bench: Bench) -> None:
    archive = filled(*(dermoscopic(number) for number in range(12)))
    score(bench, archive, tmp_path / "out")
    kept = b"".join(path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file())
    text = kept + json.dumps(rows_of(tmp_path / "out")).encode()
    assert f"{STUDY}.3.1".encode() in text
    for value in (PATIENT_NAME, PATIENT_ID, "19700101", "Skin check", "DERM1"):
        assert value.encode() not in text


def test_finished_parts_are_not_fetched_again(tmp_path: Path, bench: Bench) -> None:
    archive = filled(*(dermoscopic(number) for number in range(2 * PART_SIZE)))
    score(bench, archive, tmp_path / "out")
    archive.asked.clear()
    assert score(bench, archive, tmp_path / "out").skipped == 2 * PART_SIZE
    assert archive.asked == []


def test_a_few_instances_are_fetched_ahead_and_no_more(tmp_path: Path) -> None:
    archive = filled(*(dermoscopic(number) for number in range(20)))
    source = listed_source(archive, tmp_path)
    archive.asked.clear()
    images = source.images()
    next(images).place()
    next(images)
    for thread in threading.enumerate():
        if thread.name == "lentigo-archive":
            thread.join(30)
    assert len(archive.asked) == READ_AHEAD


def test_a_run_that_is_stopped_does_not_wait_for_an_archive_that_hangs(tmp_path: Path) -> None:
    released = threading.Event()

    class HangingArchive(FakeArchive):
        def answer(self, request: httpx.Request) -> httpx.Response:
            if "/series/" in request.url.path:
                released.wait(60)
            return super().answer(request)

    def stopped() -> None:
        raise ScoringStoppedError("Stopped.")

    archive = filled(dermoscopic(1), archive=HangingArchive())
    source = source_of(archive, tmp_path, stopped)
    source.list_instances()
    try:
        with pytest.raises(ScoringStoppedError):
            next(source.images()).place()
    finally:
        released.set()


def test_a_list_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"no database" * 100)
    with pytest.raises(ResultFolderError, match="cannot be used"):
        listed_source(filled(dermoscopic(1)), tmp_path)


def test_the_list_has_uids_and_numbers_of_frames_alone(tmp_path: Path) -> None:
    listed_source(filled(multi_frame(3)), tmp_path)
    database = sqlite3.connect(tmp_path / NAME)
    try:
        (row,) = database.execute("SELECT * FROM instances").fetchall()
    finally:
        database.close()
    assert row == (1, f"{STUDY}.3.1", f"{STUDY}.2", STUDY, 3)


def test_an_address_reads_the_same_whatever_the_order_of_its_keys() -> None:
    address = parse_address("dicomweb+http://h:8042/dicom-web/?StudyDate=20260101-&Modality=XC")
    assert address.url == "http://h:8042/dicom-web"
    assert str(address) == "http://h:8042/dicom-web?Modality=XC&StudyDate=20260101-"
    assert str(parse_address("dicomweb+https://h/dicom-web")) == "https://h/dicom-web"
    assert is_dicomweb("dicomweb+https://h")
    assert not is_dicomweb("https://h")
    assert not is_dicomweb("folder/dicomweb+https")


@pytest.mark.parametrize(
    "address",
    [
        "dicomweb+https://",
        "dicomweb+https://h:99999/x",
        "dicomweb+https://h/x?Modality",
        "dicomweb+https://h/x?Modality=XC&Modality=DMS",
        "dicomweb+https://h/x#part",
        "dicomweb+https://[::1/x",
        "dicomweb+https://someone:geheim@h/x",
    ],
)
def test_an_address_that_is_none_is_refused_without_quoting_it(address: str) -> None:
    with pytest.raises(SourceError) as caught:
        parse_address(address)
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    "environment",
    [
        {SIGN_IN["user"]: "lentigo"},
        {SIGN_IN["password_file"]: "password"},
        {
            SIGN_IN["user"]: "lentigo",
            SIGN_IN["password_file"]: "password",
            SIGN_IN["key_file"]: "key",
        },
        {SIGN_IN["key_file"]: "nowhere"},
        {SIGN_IN["ca_file"]: "nowhere"},
    ],
)
def test_settings_of_the_archive_that_cannot_be_used_are_refused(
    tmp_path: Path, bench: Bench, environment: dict[str, str]
) -> None:
    with pytest.raises(SettingsError):
        dicomweb_source(
            ADDRESS, tmp_path, bench.settings.image_limits(), 5, environment, lambda: None
        )
