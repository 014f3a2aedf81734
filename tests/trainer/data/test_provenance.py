import hashlib
from pathlib import Path

import numpy as np
import pytest

from lentigo_contract.errors import DamagedVersionError
from lentigo_contract.manifest.manifest import Manifest
from lentigo_contract.repository.layout import TRAINING_SET_NAME
from lentigo_contract.repository.store import ModelStore
from lentigo_trainer.data.dataset import Prepared, prepare
from lentigo_trainer.data.extra.training_images import open_extra_images
from lentigo_trainer.data.ham10000 import find_source, open_images
from lentigo_trainer.data.perceptual_hash import cell_colours, image_hash
from lentigo_trainer.data.provenance import read_training_set, write_training_set
from lentigo_trainer.system.progress import SilentProgress
from tests.fakes import made_manifest, synthetic_ham10000
from tests.trainer.data.extra.made_up_set import config_with, made_up_set

SILENT = SilentProgress()
ROWS = np.array([5, 0, 3])


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic_ham10000(tmp_path_factory.mktemp("ham"), 1, size=(64, 48))


@pytest.fixture(scope="module")
def prepared(source: Path) -> Prepared:
    return prepare(find_source(source), source / "prepared", 1, SILENT)


def test_a_version_says_which_images_and_lesions_trained_it(
    source: Path, prepared: Prepared, tmp_path: Path
) -> None:
    write_training_set(tmp_path, prepared, ROWS)
    found = read_training_set(tmp_path)
    assert found is not None
    records = prepared.records.iloc[ROWS]
    assert found.names == set(records["image_id"])
    assert found.lesions == set(records["lesion_id"])
    with open_images(find_source(source)) as readers:
        assert found.digests == {
            hashlib.sha256(readers[name]()).hexdigest() for name in records["image_id"]
        }


def test_images_of_imported_sets_are_listed_with_their_groups(
    prepared: Prepared, tmp_path: Path
) -> None:
    extra = open_extra_images(config_with(made_up_set(tmp_path, {"nv": 3})), prepared)
    assert extra is not None
    write_training_set(tmp_path, prepared, ROWS, extra.training_set())
    found = read_training_set(tmp_path)
    assert found is not None
    assert found.names == {*prepared.records["image_id"].iloc[ROWS], *extra.records["image_id"]}
    assert {f"others:image-{number}" for number in range(3)} < found.lesions
    assert set(extra.records["sha256"]) < found.digests
    first = found.fingerprints.hashes[found.hashed.index("image-0")]
    assert np.array_equal(first, image_hash(extra.parts[0].pixels()[0]))


def test_a_version_has_the_perceptual_hash_and_the_colours_of_each_image(
    prepared: Prepared, tmp_path: Path
) -> None:
    write_training_set(tmp_path, prepared, ROWS)
    found = read_training_set(tmp_path)
    assert found is not None
    names = list(prepared.records["image_id"])
    assert set(found.hashed) == found.names
    kept = found.fingerprints
    assert kept.colours is not None
    for name, bits, colours in zip(found.hashed, kept.hashes, kept.colours, strict=True):
        image = prepared.images[names.index(name)]
        assert np.array_equal(bits, image_hash(image))
        assert np.array_equal(colours, cell_colours(image))


def test_the_same_images_give_the_same_file_in_any_order(
    prepared: Prepared, tmp_path: Path
) -> None:
    write_training_set(tmp_path / "one", prepared, ROWS)
    write_training_set(tmp_path / "two", prepared, ROWS[::-1])
    one, two = ((tmp_path / name / TRAINING_SET_NAME).read_bytes() for name in ("one", "two"))
    assert one == two


def test_a_version_verifies_with_and_without_a_training_set(
    prepared: Prepared, tmp_path: Path
) -> None:
    store = ModelStore(tmp_path)

    def fill(folder: Path) -> Manifest:
        (folder / "saved_model.pb").write_bytes(b"graph")
        write_training_set(folder, prepared, ROWS)
        return made_manifest()

    stored = store.open(store.publish(fill).version)
    assert TRAINING_SET_NAME in stored.manifest.files
    assert read_training_set(stored.path) is not None
    (stored.path / TRAINING_SET_NAME).unlink()
    assert read_training_set(stored.path) is None


@pytest.mark.parametrize("content", [b"", b"no gzip", b"\x1f\x8b\x08\x00cut off"])
def test_a_damaged_training_set_is_an_error(content: bytes, tmp_path: Path) -> None:
    (tmp_path / TRAINING_SET_NAME).write_bytes(content)
    with pytest.raises(DamagedVersionError, match="cannot be read as a list of training images"):
        read_training_set(tmp_path)
