import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lentigo_contract.errors import StorageError
from lentigo_trainer.data.download import FILES, fetch_ham10000
from lentigo_trainer.errors import DownloadError
from lentigo_trainer.system.progress import LineProgress
from lentigo_trainer.system.retrying import RetryPolicy
from tests.trainer.data.dataverse_stub import (
    Dataverse,
    Request,
    StoredFile,
    breaks_off,
    dataverse,
    ignores_range,
    status,
)

CSV = b"lesion_id,image_id,dx\nHAM_0000001,ISIC_0000001,nv\n"
FIRST = bytes(range(256)) * 40
SECOND = bytes(range(255, -1, -1)) * 50
PART_1 = "/storage/0"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Dataverse]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    files = [
        StoredFile("HAM10000_images_part_1.zip", FIRST, etag='"one"'),
        StoredFile("HAM10000_images_part_2.zip", SECOND),
        # As Dataverse lists a table: under the name, size and sum of something else.
        StoredFile(
            "HAM10000_metadata.tab",
            CSV,
            {
                "originalFileFormat": "text/csv",
                "originalFileSize": len(CSV),
                "filesize": 7,
                "checksum": {"type": "MD5", "value": "0" * 32},
            },
        ),
        StoredFile("ISIC2018_Task3_Test_Images.zip", b"not wanted"),
    ]
    with dataverse(files) as running:
        yield running


class Watcher:
    """Fetches into a folder and remembers the printed lines and the pauses."""

    def __init__(self, folder: Path, server: Dataverse) -> None:
        self.folder = folder
        self.server = server
        self.lines: list[str] = []
        self.pauses: list[float] = []

    def fetch(self, attempts: int = 3) -> tuple[Path, ...]:
        policy = RetryPolicy(attempts=attempts, sleep=self.pauses.append)
        progress = LineProgress(self.lines.append)
        return fetch_ham10000(self.folder, progress, self.server.url, policy)

    def assert_complete(self) -> None:
        contents = dict(zip(FILES, (CSV, FIRST, SECOND), strict=True))
        assert {path.name for path in self.folder.iterdir()} == set(contents)
        for name, content in contents.items():
            assert (self.folder / name).read_bytes() == content


@pytest.fixture
def watcher(tmp_path: Path, server: Dataverse) -> Watcher:
    return Watcher(tmp_path / "ham10000", server)


def test_exactly_the_three_files_are_downloaded(watcher: Watcher) -> None:
    paths = watcher.fetch()
    assert [path.name for path in paths] == list(FILES)
    watcher.assert_complete()
    assert any("CC BY-NC 4.0" in line for line in watcher.lines)


def test_the_metadata_is_requested_in_its_original_format(watcher: Watcher) -> None:
    watcher.fetch()
    assert ("/api/access/datafile/2?format=original", "") in watcher.server.asked
    assert ("/api/access/datafile/0", "") in watcher.server.asked
    assert any("only its size was checked" in line for line in watcher.lines)


def test_an_original_that_has_the_listed_checksum_is_not_commented_on(watcher: Watcher) -> None:
    del watcher.server.files[2].listed["checksum"]
    watcher.fetch()
    assert not any("only its size" in line for line in watcher.lines)


def test_an_existing_file_is_checked_and_kept(watcher: Watcher) -> None:
    watcher.fetch()
    before = len(watcher.server.asked)
    watcher.fetch()
    assert len(watcher.server.asked) == before + 1
    assert any("is there already" in line for line in watcher.lines)


def test_an_existing_file_with_other_content_is_left_unchanged(watcher: Watcher) -> None:
    watcher.folder.mkdir()
    other = watcher.folder / "HAM10000_images_part_1.zip"
    other.write_bytes(b"smaller images")
    with pytest.raises(DownloadError, match="move it away"):
        watcher.fetch()
    assert other.read_bytes() == b"smaller images"


def test_a_broken_connection_is_resumed(watcher: Watcher) -> None:
    watcher.server.misbehave(PART_1, breaks_off(3000), breaks_off(5000))
    watcher.fetch()
    watcher.assert_complete()
    assert watcher.server.ranges()[1:4] == ["", "bytes=3000-", "bytes=5000-"]
    assert watcher.pauses == [1.0, 2.0]


def test_a_killed_fetch_is_resumed(watcher: Watcher) -> None:
    watcher.server.misbehave(PART_1, breaks_off(3000))
    with pytest.raises(DownloadError, match="is kept: run the same command again"):
        watcher.fetch(attempts=1)
    assert (watcher.folder / "HAM10000_images_part_1.zip.part").stat().st_size == 3000
    watcher.fetch()
    watcher.assert_complete()
    assert "bytes=3000-" in watcher.server.ranges()


def test_a_server_that_cannot_resume_sends_the_whole_file_again(watcher: Watcher) -> None:
    watcher.server.misbehave(PART_1, breaks_off(3000), ignores_range)
    watcher.fetch()
    watcher.assert_complete()


@pytest.mark.parametrize("tagged", [True, False])
def test_a_file_that_changed_meanwhile_is_not_joined_to_the_old_part(
    watcher: Watcher, tagged: bool
) -> None:
    stored = watcher.server.files[0]
    right, stored.content = stored.content, FIRST[::-1]
    stored.etag = '"old"' if tagged else ""
    # The listing is right from the start; only the storage has the old content for a while.
    watcher.server.files[0].listed = StoredFile(stored.name, right).entry(0)["dataFile"]

    def broken_then_changed(request: Request) -> None:
        request.send_file(end=3000)
        stored.content, stored.etag = right, '"new"' if tagged else ""

    watcher.server.misbehave(PART_1, broken_then_changed)
    watcher.fetch()
    watcher.assert_complete()
    assert any("did not fit together" in line for line in watcher.lines) is not tagged


def test_a_part_of_another_release_is_deleted(watcher: Watcher) -> None:
    old = watcher.server.files[0].content
    watcher.server.files[0].content = old[::-1]
    watcher.server.misbehave(PART_1, breaks_off(3000))
    with pytest.raises(DownloadError):
        watcher.fetch(attempts=1)
    watcher.server.files[0].content = old
    watcher.fetch()
    watcher.assert_complete()
    assert "bytes=3000-" not in watcher.server.ranges()


def test_a_part_longer_than_the_file_starts_again(watcher: Watcher) -> None:
    watcher.server.misbehave(
        PART_1, breaks_off(3000), status(416, **{"Content-Range": "bytes */10"})
    )
    watcher.fetch()
    watcher.assert_complete()


def test_a_wrong_checksum_is_an_error_and_no_file_is_saved(watcher: Watcher) -> None:
    watcher.server.files[0].listed = {"checksum": {"type": "MD5", "value": "0" * 32}}
    with pytest.raises(DownloadError, match=r"checksum .* deleted"):
        watcher.fetch()
    assert not (watcher.folder / "HAM10000_images_part_1.zip").exists()
    watcher.server.files[0].listed = {}
    watcher.fetch()
    watcher.assert_complete()


def test_other_algorithms_are_checked_too(watcher: Watcher) -> None:
    watcher.server.files[0].listed = {"checksum": {"type": "SHA-256", "value": "0" * 64}}
    with pytest.raises(DownloadError, match="checksum"):
        watcher.fetch()


def test_more_bytes_than_listed_are_an_error(watcher: Watcher) -> None:
    watcher.server.files[0].listed = {"filesize": 100}
    with pytest.raises(DownloadError, match="the server lists 100"):
        watcher.fetch()


def test_a_busy_server_is_retried_after_the_time_it_asks_for(watcher: Watcher) -> None:
    watcher.server.misbehave("/api/datasets", status(503, **{"Retry-After": "7"}), status(502))
    watcher.server.misbehave(PART_1, status(429, **{"Retry-After": "9999"}))
    watcher.fetch()
    watcher.assert_complete()
    assert watcher.pauses == [7.0, 2.0, 60.0]


def test_it_gives_up_after_its_attempts(watcher: Watcher) -> None:
    watcher.server.misbehave(PART_1, *[status(503)] * 5)
    with pytest.raises(DownloadError, match=r"503.*Gave up after 3 attempts"):
        watcher.fetch(attempts=3)
    assert watcher.pauses == [1.0, 2.0]


def test_a_refusal_is_final(watcher: Watcher) -> None:
    watcher.server.misbehave(PART_1, status(403))
    with pytest.raises(DownloadError, match="answered 403"):
        watcher.fetch()
    assert watcher.pauses == []


def test_a_firewall_that_wants_a_browser_is_explained(watcher: Watcher) -> None:
    watcher.server.misbehave("/api/datasets", status(202, **{"x-amzn-waf-action": "challenge"}))
    with pytest.raises(DownloadError, match="by hand"):
        watcher.fetch()


def test_a_listing_without_the_files_names_what_there_is(watcher: Watcher) -> None:
    del watcher.server.files[1]
    with pytest.raises(DownloadError, match=r"no HAM10000_images_part_2 .*HAM10000_metadata\.tab"):
        watcher.fetch()


def test_another_kind_of_server_is_recognised(watcher: Watcher) -> None:
    watcher.server.misbehave("/api/datasets", lambda request: request.answer(200, b"<html>"))
    with pytest.raises(DownloadError, match="not answer like a Dataverse"):
        watcher.fetch()


@pytest.mark.parametrize(
    ("address", "complaint"),
    [("dataverse.harvard.edu", "not a valid address"), ("http://127.0.0.1:1", "Gave up")],
)
def test_an_invalid_or_unreachable_address_is_an_error(
    watcher: Watcher, address: str, complaint: str
) -> None:
    watcher.server.url = address
    with pytest.raises(DownloadError, match=complaint):
        watcher.fetch()


def test_too_little_space_is_an_error_before_the_download(watcher: Watcher) -> None:
    watcher.server.files[0].listed = {"filesize": 10**18}
    with pytest.raises(StorageError, match="free space"):
        watcher.fetch()
    assert not any(path == PART_1 for path, _ in watcher.server.asked)


def test_a_disk_that_fills_up_is_a_storage_error(watcher: Watcher) -> None:
    watcher.folder.mkdir()
    # Writing to this device always finds it full.
    (watcher.folder / "HAM10000_images_part_1.zip.part").symlink_to("/dev/full")
    with pytest.raises(StorageError, match="is full"):
        watcher.fetch()
    assert not (watcher.folder / "HAM10000_images_part_1.zip").exists()


def test_two_fetches_at_once_do_not_mix(watcher: Watcher) -> None:
    arrived, go_on = threading.Event(), threading.Event()

    def waits(request: Request) -> None:
        arrived.set()
        assert go_on.wait(30)
        request.send_file()

    watcher.server.misbehave(PART_1, waits)
    first = threading.Thread(target=watcher.fetch)
    first.start()
    try:
        assert arrived.wait(30)
        with pytest.raises(DownloadError, match="Another download is writing"):
            Watcher(watcher.folder, watcher.server).fetch()
    finally:
        go_on.set()
        first.join()
    watcher.assert_complete()
