import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lentigo_contract.errors import IncompatibleVersionError, PublishError, StorageError
from lentigo_contract.labels import CODES
from lentigo_contract.manifest.manifest import Manifest
from lentigo_contract.repository.store import ModelStore
from tests.contract.versions import fill_made_version
from tests.fakes import made_manifest


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    """A repository that holds version 1."""
    store = ModelStore(tmp_path / "repository")
    store.publish(fill_made_version)
    return store


@pytest.fixture
def untouched(store: ModelStore) -> Iterator[ModelStore]:
    """The same, and whatever the test does to publish must leave it as it was."""
    yield store
    assert [path.name for path in store.folder.iterdir()] == ["1"]
    store.verify(1)


def test_the_first_version_is_1_in_a_repository_made_for_it(tmp_path: Path) -> None:
    published = ModelStore(tmp_path / "a" / "b").publish(fill_made_version)

    assert published.path == tmp_path / "a" / "b" / "lentigo" / "1"
    assert published.path.is_dir()


def test_the_folder_to_fill_is_empty_and_out_of_sight(store: ModelStore) -> None:
    def fill(folder: Path) -> Manifest:
        assert list(folder.iterdir()) == []
        assert store.versions() == [1]
        return fill_made_version(folder)

    assert store.publish(fill).version == 2


def test_nothing_else_is_left_behind(store: ModelStore) -> None:
    published = store.publish(fill_made_version)

    assert sorted(path.name for path in store.folder.iterdir()) == ["1", "2"]
    assert sorted(path.name for path in published.path.iterdir()) == [
        "manifest.json",
        "saved_model.pb",
        "variables",
    ]


@pytest.mark.parametrize("kind", ["empty folder", "full folder", "file", "link", "leading zero"])
def test_a_number_that_is_taken_by_anything_is_skipped(store: ModelStore, kind: str) -> None:
    taken = store.folder / ("2" if kind != "leading zero" else "02")
    match kind:
        case "file":
            taken.write_text("")
        case "link":
            taken.symlink_to("nowhere")
        case "full folder":
            (taken / "saved_model.pb").mkdir(parents=True)
        case _:
            taken.mkdir()
    expected = 3 if kind != "leading zero" else 2

    assert store.publish(fill_made_version).version == expected
    assert store.versions() == [1, expected]
    assert os.path.lexists(taken)


def test_a_number_taken_while_the_version_was_written_is_skipped(store: ModelStore) -> None:
    def fill(folder: Path) -> Manifest:
        assert store.publish(fill_made_version).version == 2
        return fill_made_version(folder)

    assert store.publish(fill).version == 3
    store.verify(2)
    store.verify(3)


def test_a_number_taken_at_the_last_moment_is_skipped(
    store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def late(source: Path, target: Path) -> Path:
        if target.name == "2":
            # Between the look and the rename, where only rename(2) itself can tell.
            (target / "saved_model.pb").mkdir(parents=True)
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", late)

    assert store.publish(fill_made_version).version == 3
    assert store.open(3).manifest.version == 3


def test_when_no_number_is_left_it_says_so(untouched: ModelStore) -> None:
    last = untouched.folder / ("9" * 18)
    last.mkdir()

    with pytest.raises(PublishError, match="no number left"):
        untouched.publish(fill_made_version)

    last.rmdir()


def test_everything_is_readable_for_all_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        version = ModelStore(tmp_path / "repository").publish(fill_made_version)
    finally:
        os.umask(before)

    folders = [tmp_path / "repository", version.path.parent, version.path]
    folders += [path for path in version.path.rglob("*") if path.is_dir()]
    files = [path for path in version.path.rglob("*") if path.is_file()]
    assert {oct(path.stat().st_mode & 0o777) for path in folders} == {"0o755"}
    assert {oct(path.stat().st_mode & 0o777) for path in files} == {"0o644"}


def test_what_fill_raises_comes_through(untouched: ModelStore) -> None:
    def fill(folder: Path) -> Manifest:
        fill_made_version(folder)
        raise RuntimeError("the export failed")

    with pytest.raises(RuntimeError, match="the export failed"):
        untouched.publish(fill)


def test_an_interrupt_leaves_nothing(untouched: ModelStore) -> None:
    def fill(folder: Path) -> Manifest:
        fill_made_version(folder)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        untouched.publish(fill)


def write_nothing(_: Path) -> None:
    """Leave the folder empty."""


def write_a_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text("{}")


def write_a_link(folder: Path) -> None:
    (folder / "saved_model.pb").symlink_to("/etc/hostname")


def write_a_folder_link(folder: Path) -> None:
    (folder / "variables").symlink_to("/etc")


def write_a_pipe(folder: Path) -> None:
    os.mkfifo(folder / "saved_model.pb")


def write_a_name_that_is_no_text(folder: Path) -> None:
    os.close(os.open(os.fsencode(folder) + b"/\xff", os.O_CREAT | os.O_WRONLY))


def write_a_line_feed_in_a_name(folder: Path) -> None:
    (folder / "a\nb").write_text("")


@pytest.mark.parametrize(
    "write",
    [
        write_nothing,
        write_a_manifest,
        write_a_link,
        write_a_folder_link,
        write_a_pipe,
        write_a_name_that_is_no_text,
        write_a_line_feed_in_a_name,
    ],
)
def test_what_cannot_be_a_version_is_not_published(
    untouched: ModelStore, write: Callable[[Path], None]
) -> None:
    def fill(folder: Path) -> Manifest:
        write(folder)
        return made_manifest()

    with pytest.raises(PublishError) as refusal:
        untouched.publish(fill)

    str(refusal.value).encode()


def test_a_manifest_for_another_release_is_not_published(untouched: ModelStore) -> None:
    def fill(folder: Path) -> Manifest:
        fill_made_version(folder)
        return made_manifest(labels=CODES[::-1])

    with pytest.raises(IncompatibleVersionError):
        untouched.publish(fill)


def test_a_manifest_of_another_model_is_not_published(untouched: ModelStore) -> None:
    def fill(folder: Path) -> Manifest:
        fill_made_version(folder)
        return made_manifest(name="naevus")

    with pytest.raises(PublishError, match="naevus"):
        untouched.publish(fill)


def fill_the_disk(folder: Path) -> Manifest:
    """Really run out of space: Linux has a device for that."""
    fill_made_version(folder)
    with Path("/dev/full").open("wb") as disk:
        disk.write(bytes(2**20))
    return made_manifest()


def fill_in_words(folder: Path) -> Manifest:
    """Run out of space the way TensorFlow tells it."""
    fill_made_version(folder)
    raise RuntimeError(f"{folder}/variables/variables.data; No space left on device")


def fill_read_only(folder: Path) -> Manifest:
    raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(folder))


def fill_denied(folder: Path) -> Manifest:
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))


@pytest.mark.parametrize(
    ("fill", "reason"),
    [
        (fill_the_disk, "No space left"),
        (fill_in_words, "No space left"),
        (fill_read_only, "Read-only"),
        (fill_denied, "denied"),
    ],
)
def test_a_disk_that_fails_while_the_model_is_written(
    untouched: ModelStore, fill: Callable[[Path], Manifest], reason: str
) -> None:
    with pytest.raises(StorageError, match=f"{reason}.*publish again"):
        untouched.publish(fill)


def test_an_error_of_the_system_that_is_not_the_disks_comes_through(untouched: ModelStore) -> None:
    def fill(folder: Path) -> Manifest:
        (folder / "absent").read_bytes()
        return made_manifest()

    with pytest.raises(FileNotFoundError):
        untouched.publish(fill)


@pytest.mark.parametrize("flush", range(1, 7))
def test_a_disk_that_fills_up_at_any_flush(
    untouched: ModelStore, monkeypatch: pytest.MonkeyPatch, flush: int
) -> None:
    # A full disk often shows only when the data are forced onto it: two files, their folders, the
    # manifest, its folder. The seventh is for the next test.
    fail_at_flush(monkeypatch, flush)

    with pytest.raises(StorageError, match="No space left"):
        untouched.publish(fill_made_version)


def test_a_version_that_stands_is_published_even_if_its_folder_cannot_be_flushed(
    store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_at_flush(monkeypatch, 7)

    assert store.publish(fill_made_version).version == 2


def fail_at_flush(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    flush, left = os.fsync, number

    def fsync(descriptor: int) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)


def test_a_file_system_that_cannot_flush_folders_will_do(
    store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    flush = os.fsync

    def fsync(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").is_dir():
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)

    assert store.publish(fill_made_version).version == 2


def test_a_repository_that_is_no_folder_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "repository").write_text("a file")

    with pytest.raises(StorageError, match="choose a model repository"):
        ModelStore(tmp_path / "repository").publish(fill_made_version)


def test_a_version_is_signed_whole_and_before_it_appears(store: ModelStore) -> None:
    seen: list[set[str]] = []

    def sign(folder: Path) -> None:
        seen.append({path.name for path in folder.iterdir()})
        assert store.versions() == [1]
        assert Manifest.read(folder / "manifest.json").version == 2
        (folder / "model.sig").write_text("signed")

    published = store.publish(fill_made_version, sign)

    assert seen == [{"manifest.json", "saved_model.pb", "variables"}]
    assert (published.path / "model.sig").read_text() == "signed"
    assert store.open(2) == published


def test_a_version_that_cannot_be_signed_does_not_appear(untouched: ModelStore) -> None:
    def sign(_folder: Path) -> None:
        raise ValueError("no key")

    with pytest.raises(ValueError, match="no key"):
        untouched.publish(fill_made_version, sign)


def test_a_version_brings_no_signature_of_its_own(untouched: ModelStore) -> None:
    def fill(folder: Path) -> Manifest:
        (folder / "model.sig").write_text("mine")
        return fill_made_version(folder)

    with pytest.raises(PublishError, match=r"its own model\.sig"):
        untouched.publish(fill)


def test_the_digest_of_the_manifest_is_of_the_bytes_on_the_disk(store: ModelStore) -> None:
    published = store.publish(fill_made_version)
    written = (published.path / "manifest.json").read_bytes()
    assert published.manifest_sha256 == hashlib.sha256(written).hexdigest()
    assert store.open(2) == published
