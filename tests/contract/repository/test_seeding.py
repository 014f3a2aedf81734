from pathlib import Path

import pytest

from lentigo_contract.errors import DamagedVersionError, NoVersionError, StorageError
from lentigo_contract.repository.store import ModelStore, seed
from tests.contract.versions import fill_made_version


def contents(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


@pytest.fixture
def shipped(tmp_path: Path) -> ModelStore:
    store = ModelStore(tmp_path / "shipped")
    store.publish(fill_made_version)
    return store


@pytest.fixture
def repository(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "volume")


def test_an_empty_repository_gets_the_shipped_version_byte_for_byte(
    shipped: ModelStore, repository: ModelStore
) -> None:
    repository.root.mkdir()
    published = seed(shipped, repository)
    assert published is not None
    assert published == repository.open(1)
    assert contents(repository.root) == contents(shipped.root)


def test_the_newest_of_several_becomes_the_first(
    shipped: ModelStore, repository: ModelStore
) -> None:
    newest = shipped.publish(fill_made_version)
    seed(shipped, repository)
    assert repository.versions() == [1]
    assert repository.open(1).manifest.files == newest.manifest.files


def test_a_second_time_changes_nothing(shipped: ModelStore, repository: ModelStore) -> None:
    seed(shipped, repository)
    before = contents(repository.root)
    shipped.publish(fill_made_version)
    assert seed(shipped, repository) is None
    assert contents(repository.root) == before


def test_a_later_version_alone_is_not_joined_by_an_older_one(
    shipped: ModelStore, repository: ModelStore
) -> None:
    repository.publish(fill_made_version)
    (repository.folder / "1").rename(repository.folder / "7")
    assert seed(shipped, repository) is None
    assert [path.name for path in repository.folder.iterdir()] == ["7"]


def test_what_has_a_version_s_name_is_never_touched(
    shipped: ModelStore, repository: ModelStore
) -> None:
    (repository.folder / "3").mkdir(parents=True)
    assert seed(shipped, repository) is None
    assert [path.name for path in repository.folder.iterdir()] == ["3"]


def test_a_damaged_shipped_version_is_not_spread(
    shipped: ModelStore, repository: ModelStore
) -> None:
    (shipped.folder / "1/saved_model.pb").write_bytes(b"changed")
    with pytest.raises(DamagedVersionError):
        seed(shipped, repository)
    assert not repository.root.exists()


def test_nothing_shipped_is_told(tmp_path: Path, repository: ModelStore) -> None:
    with pytest.raises(NoVersionError, match="no version to begin with"):
        seed(ModelStore(tmp_path / "nowhere"), repository)


def test_a_repository_that_is_a_file_is_told(shipped: ModelStore, tmp_path: Path) -> None:
    (tmp_path / "volume").write_text("not a folder")
    with pytest.raises(StorageError):
        seed(shipped, ModelStore(tmp_path / "volume"))
