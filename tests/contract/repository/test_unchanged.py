"""What was checked is what is used, whatever becomes of the file meanwhile."""

import tempfile
from pathlib import Path

import pytest

from lentigo_contract.errors import DamagedVersionError
from lentigo_contract.manifest.manifest import Manifest
from lentigo_contract.repository.store import ModelStore, StoredVersion
from lentigo_contract.repository.unchanged import read_unchanged, unchanged_saved_model
from tests.fakes import made_manifest

NAME = "variables/variables.index"


@pytest.fixture
def stored(tmp_path: Path) -> StoredVersion:
    def fill(folder: Path) -> Manifest:
        (folder / "variables").mkdir()
        (folder / "saved_model.pb").write_bytes(b"graph")
        (folder / NAME).write_bytes(b"index")
        (folder / "litert").mkdir()
        (folder / "litert/float32.tflite").write_bytes(b"not for TensorFlow")
        return made_manifest()

    return ModelStore(tmp_path / "models").publish(fill)


def test_the_bytes_are_given_that_were_checked(stored: StoredVersion) -> None:
    assert read_unchanged(stored.path, NAME, stored.manifest.files[NAME]) == b"index"


@pytest.mark.parametrize("content", [b"", b"inde", b"Index", b"index and more"])
def test_a_file_that_has_changed_since_the_check_is_refused(
    stored: StoredVersion, content: bytes
) -> None:
    (stored.path / NAME).write_bytes(content)

    with pytest.raises(DamagedVersionError, match="has changed"):
        read_unchanged(stored.path, NAME, stored.manifest.files[NAME])


def test_a_link_and_nothing_at_all_are_refused(stored: StoredVersion, tmp_path: Path) -> None:
    record = stored.manifest.files[NAME]
    (stored.path / NAME).rename(tmp_path / "elsewhere")

    with pytest.raises(DamagedVersionError, match="cannot be read"):
        read_unchanged(stored.path, NAME, record)
    (stored.path / NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DamagedVersionError, match="cannot be read"):
        read_unchanged(stored.path, NAME, record)


def test_tensorflow_gets_a_private_copy_that_no_change_reaches(stored: StoredVersion) -> None:
    with unchanged_saved_model(stored.path, stored.manifest.files) as folder:
        (stored.path / NAME).write_bytes(b"other")

        assert (folder / NAME).read_bytes() == b"index"
        assert (folder / "saved_model.pb").read_bytes() == b"graph"
        assert not (folder / "litert").exists()
        assert folder.stat().st_mode & 0o077 == 0
    assert not folder.exists()


def test_what_has_changed_before_the_copy_is_refused(stored: StoredVersion) -> None:
    (stored.path / NAME).write_bytes(b"other")

    with (
        pytest.raises(DamagedVersionError),
        unchanged_saved_model(stored.path, stored.manifest.files),
    ):
        pytest.fail("loaded")


def test_without_a_place_for_a_copy_the_version_is_checked_again_after_loading(
    stored: StoredVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**_options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryDirectory", full)

    with unchanged_saved_model(stored.path, stored.manifest.files) as folder:
        assert folder == stored.path
    with (
        pytest.raises(DamagedVersionError, match="has changed"),
        unchanged_saved_model(stored.path, stored.manifest.files),
    ):
        (stored.path / NAME).write_bytes(b"other")
