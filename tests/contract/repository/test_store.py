import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lentigo_contract.errors import (
    DamagedVersionError,
    IncompatibleVersionError,
    StorageError,
    VersionNotFoundError,
)
from lentigo_contract.repository.store import ModelStore, open_version_folder
from tests.contract.versions import fill_made_version


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path)


@pytest.fixture
def version(store: ModelStore) -> Path:
    """The folder of version 1, just published."""
    return store.publish(fill_made_version).path


def test_a_repository_that_does_not_exist_yet_is_empty(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "not" / "yet")

    assert store.versions() == []
    assert store.latest() is None
    assert not store.root.exists()


def test_published_versions_are_listed_in_the_order_of_their_numbers(store: ModelStore) -> None:
    for _ in range(11):
        store.publish(fill_made_version)

    assert store.versions() == list(range(1, 12))
    assert store.latest() == 11


def test_an_opened_version_tells_where_it_is_and_what_it_is(store: ModelStore) -> None:
    published = store.publish(fill_made_version)

    opened = store.open(1)

    assert opened == published
    assert opened.path == store.folder / "1"
    assert opened.manifest.version == opened.version == 1
    assert set(opened.manifest.files) == {
        "saved_model.pb",
        "variables/variables.data-00000-of-00001",
    }


def test_opening_changes_nothing(store: ModelStore, version: Path) -> None:
    def state() -> dict[str, tuple[int, int]]:
        return {
            str(path): (path.stat().st_mtime_ns, path.stat().st_mode)
            for path in [store.root, *store.root.rglob("*")]
        }

    before = state()

    store.versions()
    store.verify(1)
    open_version_folder(version)

    assert state() == before


@pytest.mark.parametrize(
    "name", [".staging-1", "0", "01", "-1", "1.5", "tmp", "٣", "1 ", "1" * 19, "lost+found"]
)
def test_only_canonical_numbers_are_versions(store: ModelStore, version: Path, name: str) -> None:
    shutil.copytree(version, store.folder / name)

    assert store.versions() == [1]


def test_a_folder_without_a_manifest_is_no_version(store: ModelStore, version: Path) -> None:
    (store.folder / "2").mkdir()
    shutil.copytree(version, store.folder / "3")
    (store.folder / "3" / "manifest.json").unlink()
    (store.folder / "4").write_text("a file")

    assert store.versions() == [1]
    for absent in (2, 3, 4):
        with pytest.raises(VersionNotFoundError):
            store.open(absent)


def test_a_link_is_no_version(store: ModelStore, version: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    version.rename(moved)
    version.symlink_to(moved)

    assert store.versions() == []
    with pytest.raises(VersionNotFoundError):
        store.open(1)


@pytest.mark.parametrize("absent", [-1, 0, 2, 10**30])
@pytest.mark.usefixtures("version")
def test_a_version_that_is_not_there_is_not_found(store: ModelStore, absent: int) -> None:
    with pytest.raises(VersionNotFoundError, match=f"no version {absent}"):
        store.open(absent)


def test_a_version_under_another_number_is_refused(store: ModelStore, version: Path) -> None:
    shutil.copytree(version, store.folder / "2")

    with pytest.raises(DamagedVersionError, match="holds lentigo 1, not lentigo 2"):
        store.open(2)


@pytest.mark.usefixtures("version")
def test_a_version_of_another_model_is_refused(store: ModelStore) -> None:
    shutil.copytree(store.folder, store.root / "naevus")

    with pytest.raises(DamagedVersionError, match="not naevus 1"):
        ModelStore(store.root, "naevus").open(1)


def test_a_repository_that_is_no_folder_cannot_be_listed(tmp_path: Path) -> None:
    (tmp_path / "lentigo").write_text("a file")

    with pytest.raises(StorageError, match="cannot be listed"):
        ModelStore(tmp_path).versions()


def test_a_version_can_be_opened_by_its_folder_whatever_that_is_called(
    version: Path, tmp_path: Path
) -> None:
    copied = shutil.copytree(version, tmp_path / "copied from a colleague")

    assert open_version_folder(copied).version == 1


def test_a_folder_that_is_no_version_is_not_found(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(VersionNotFoundError, match=r"no manifest\.json"):
            open_version_folder(path)


def flip_a_bit(version: Path) -> None:
    path = version / "saved_model.pb"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut_off(version: Path) -> None:
    path = version / "variables" / "variables.data-00000-of-00001"
    path.write_bytes(path.read_bytes()[:-1])


def grow(version: Path) -> None:
    with (version / "saved_model.pb").open("ab") as file:
        file.write(b"x")


def empty(version: Path) -> None:
    (version / "saved_model.pb").write_bytes(b"")


def remove(version: Path) -> None:
    (version / "saved_model.pb").unlink()


def remove_folder(version: Path) -> None:
    shutil.rmtree(version / "variables")


def add_a_file(version: Path) -> None:
    (version / "variables" / "extra").write_bytes(b"")


def add_a_hidden_file(version: Path) -> None:
    (version / ".hidden").write_bytes(b"x")


def replace_by_a_link(version: Path) -> None:
    path = version / "saved_model.pb"
    shutil.move(path, version.parent.parent / "elsewhere")
    path.symlink_to(version.parent.parent / "elsewhere")


def replace_folder_by_a_link(version: Path) -> None:
    path = version / "variables"
    shutil.move(path, version.parent.parent / "elsewhere")
    path.symlink_to(version.parent.parent / "elsewhere")


def replace_by_a_pipe(version: Path) -> None:
    (version / "saved_model.pb").unlink()
    os.mkfifo(version / "saved_model.pb")


def replace_by_a_folder(version: Path) -> None:
    (version / "saved_model.pb").unlink()
    (version / "saved_model.pb").mkdir()


def add_a_name_that_is_no_text(version: Path) -> None:
    os.close(os.open(os.fsencode(version) + b"/\xff\xfe", os.O_CREAT | os.O_WRONLY))


def manifest_as_a_pipe(version: Path) -> None:
    (version / "manifest.json").unlink()
    os.mkfifo(version / "manifest.json")


def manifest_as_a_link(version: Path) -> None:
    shutil.move(version / "manifest.json", version.parent / "elsewhere")
    (version / "manifest.json").symlink_to(version.parent / "elsewhere")


def manifest_cut_off(version: Path) -> None:
    text = (version / "manifest.json").read_text()
    (version / "manifest.json").write_text(text[: len(text) // 2])


def manifest_listing_a_file_outside(version: Path) -> None:
    path = version / "manifest.json"
    document = json.loads(path.read_text())
    document["files"]["../2/saved_model.pb"] = document["files"]["saved_model.pb"]
    path.write_text(json.dumps(document))


@pytest.mark.parametrize(
    "damage",
    [
        flip_a_bit,
        cut_off,
        grow,
        empty,
        remove,
        remove_folder,
        add_a_file,
        add_a_hidden_file,
        replace_by_a_link,
        replace_folder_by_a_link,
        replace_by_a_pipe,
        replace_by_a_folder,
        add_a_name_that_is_no_text,
        manifest_as_a_pipe,
        manifest_as_a_link,
        manifest_cut_off,
        manifest_listing_a_file_outside,
    ],
)
def test_a_version_that_is_not_what_was_published_is_refused(
    store: ModelStore, version: Path, damage: Callable[[Path], None]
) -> None:
    store.publish(fill_made_version)
    damage(version)

    with pytest.raises(DamagedVersionError, match=r"Remove|[Pp]ublish") as refusal:
        store.open(1)

    assert str(version) in str(refusal.value)
    str(refusal.value).encode()  # fit for a log
    assert store.versions() == [1, 2]
    store.verify(2)


def test_the_damaged_file_is_named(store: ModelStore, version: Path) -> None:
    flip_a_bit(version)

    with pytest.raises(DamagedVersionError, match=r"'saved_model\.pb' has changed"):
        store.verify(1)


def test_an_empty_folder_does_no_harm(store: ModelStore, version: Path) -> None:
    # TensorFlow writes an empty `assets`, which not every way of copying keeps.
    (version / "assets").mkdir()

    store.verify(1)


def test_a_version_of_a_newer_schema_is_incompatible(store: ModelStore, version: Path) -> None:
    path = version / "manifest.json"
    path.write_text(json.dumps({"schema_version": 3, "anything": "else"}))

    with pytest.raises(IncompatibleVersionError, match="Update Lentigo"):
        store.open(1)
