import csv
import gzip
import io
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lentigo_contract.manifest.dataset import SplitRecord
from lentigo_contract.manifest.manifest import Manifest
from lentigo_contract.repository.layout import TRAINING_SET_NAME
from lentigo_contract.repository.store import ModelStore, StoredVersion
from lentigo_trainer.data.dataset import Prepared, prepare
from lentigo_trainer.data.ham10000 import find_source
from lentigo_trainer.data.provenance import split_digest, write_training_set
from lentigo_trainer.data.splits import Rows, split
from lentigo_trainer.errors import LeakageError
from lentigo_trainer.evaluation.images.image_sets import ImageSet, open_held_back, open_isic_set
from lentigo_trainer.evaluation.images.leakage import require_no_leakage
from lentigo_trainer.system.progress import SilentProgress
from tests.fakes import made_manifest, synthetic_ham10000
from tests.images import encoded
from tests.trainer.evaluation.isic import one_hot, write_table

SILENT = SilentProgress()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic_ham10000(tmp_path_factory.mktemp("ham"), 20, size=(64, 48))


@pytest.fixture(scope="module")
def prepared(source: Path) -> Prepared:
    return prepare(find_source(source), source / "prepared", 1, SILENT)


def publish(
    folder: Path, prepared: Prepared, rows: Rows | None, **changes: object
) -> StoredVersion:
    """Publish a version that was trained on some images; with None it does not record which."""

    def fill(staging: Path) -> Manifest:
        (staging / "saved_model.pb").write_bytes(b"graph")
        if rows is not None:
            write_training_set(staging, prepared, rows)
        return made_manifest(**changes)

    return ModelStore(folder).publish(fill)


def isic_set(folder: Path, source: Path, records: pd.DataFrame, metadata: bool) -> "ImageSet":
    """Some of the images, in the format of the challenge."""
    rows = [one_hot(*pair) for pair in zip(records["image_id"], records["dx"], strict=True)]
    truth = write_table(folder / "truth.csv", rows)
    parts = sorted(source.glob("*.zip"))
    with open_isic_set(parts, truth, find_source(source).metadata if metadata else None) as images:
        # Only what closes the archives ends here.
        kept = {name: read() for name, read in zip(images.names, images.readers, strict=True)}
    readers = tuple((lambda data=kept[name]: data) for name in images.names)
    return ImageSet(
        description=images.description,
        names=images.names,
        truth=images.truth,
        readers=readers,
        people=images.people,
        metadata=images.metadata,
    )


def test_a_set_of_other_images_passes(tmp_path: Path, source: Path, prepared: Prepared) -> None:
    version = publish(tmp_path / "models", prepared, split(prepared.records).train)
    with open_held_back(find_source(source)) as images:
        result = require_no_leakage(version, images, 2, SILENT)
    assert result.startswith("none: ")
    compared = "compared by name, the SHA-256 of their bytes, perceptual hash and lesion"
    assert compared in result


def test_an_image_that_trained_is_refused_by_name(
    tmp_path: Path, source: Path, prepared: Prepared
) -> None:
    version = publish(tmp_path / "models", prepared, np.array([3, 4, 5]))
    images = isic_set(tmp_path, source, prepared.records.iloc[:5], metadata=False)
    with pytest.raises(LeakageError, match="2 of 5 images trained this version") as caught:
        require_no_leakage(version, images, 2, SILENT)
    names = prepared.records["image_id"]
    assert names[3] in str(caught.value)
    assert names[2] not in str(caught.value)


def test_another_image_of_a_lesion_that_trained_is_refused_by_name(
    tmp_path: Path, source: Path, prepared: Prepared
) -> None:
    records = prepared.records
    twins = records.index[records["lesion_id"].duplicated(keep=False)][:2]
    first, second = twins
    assert records["lesion_id"][first] == records["lesion_id"][second]
    version = publish(tmp_path / "models", prepared, np.array([first]))
    images = isic_set(tmp_path, source, records.iloc[[second]], metadata=True)
    message = f"{records['image_id'][second]} \\({records['lesion_id'][second]}\\)"
    with pytest.raises(LeakageError, match=message):
        require_no_leakage(version, images, 2, SILENT)
    unknown = isic_set(tmp_path, source, records.iloc[[second]], metadata=False)
    assert require_no_leakage(version, unknown, 2, SILENT).startswith("none: ")


def test_the_isic_name_of_a_training_image_is_refused_whatever_its_bytes(
    tmp_path: Path, source: Path, prepared: Prepared
) -> None:
    version = publish(tmp_path / "models", prepared, np.array([0]))
    images = isic_set(tmp_path, source, prepared.records.iloc[[0]], metadata=False)
    other = replace(images, readers=((lambda: b"other"),))
    message = f"1 of 1 image has the ISIC name of an image that trained.*{images.names[0]}"
    with pytest.raises(LeakageError, match=message):
        require_no_leakage(version, other, 1, SILENT)


def test_another_name_that_a_training_image_has_too_is_only_noted(
    tmp_path: Path, source: Path, prepared: Prepared
) -> None:
    renamed = replace(prepared, records=prepared.records.assign(image_id="scan"))
    version = publish(tmp_path / "models", renamed, np.array([0]))
    images = isic_set(tmp_path, source, prepared.records.iloc[[1]], metadata=False)
    result = require_no_leakage(version, replace(images, names=("scan",)), 1, SILENT)
    assert result.startswith("none: ")
    assert "1 has the name of a training image, which is not an ISIC name: scan" in result


def altered(data: bytes) -> bytes:
    """The same picture, turned, cropped by 3 % and larger."""
    image = Image.open(io.BytesIO(data)).transpose(Image.Transpose.ROTATE_90)
    width, height = image.size
    box = (0.03 * width, 0.0, width, 0.97 * height)
    return encoded(image.resize((200, 300), Image.Resampling.BICUBIC, box), "JPEG", quality=70)


def test_an_altered_copy_under_another_name_is_refused_with_what_it_is_like(
    tmp_path: Path, source: Path, prepared: Prepared
) -> None:
    version = publish(tmp_path / "models", prepared, np.arange(20))
    images = isic_set(tmp_path, source, prepared.records.iloc[[3, 30]], metadata=False)
    copies = tuple(partial(altered, read()) for read in images.readers)
    renamed = replace(images, names=("mine", "yours"), readers=copies)
    message = f"1 of 2 images looks like an image that trained.*mine \\(like {images.names[0]}\\)"
    with pytest.raises(LeakageError, match=message) as caught:
        require_no_leakage(version, renamed, 2, SILENT)
    assert "yours" not in str(caught.value)
    assert "--allow-overlap" in str(caught.value)


def test_an_overlap_that_is_allowed_is_described(
    tmp_path: Path, source: Path, prepared: Prepared
) -> None:
    version = publish(tmp_path / "models", prepared, np.array([3, 4, 5]))
    images = isic_set(tmp_path, source, prepared.records.iloc[:5], metadata=True)
    result = require_no_leakage(version, images, 2, SILENT, allow_overlap=True)
    assert result.startswith("allowed: 2 of 5 images trained this version")
    assert "show lesions that trained this version" in result
    assert images.names[3] in result


def test_a_version_without_perceptual_hashes_says_so(
    tmp_path: Path, source: Path, prepared: Prepared
) -> None:
    version = publish(tmp_path / "models", prepared, np.array([3]))
    path = version.path / TRAINING_SET_NAME
    rows = csv.DictReader(gzip.decompress(path.read_bytes()).decode().splitlines())
    old = [f"{row['sha256']},{row['lesion_id']},{row['image_id']}" for row in rows]
    path.write_bytes(gzip.compress("\n".join(["sha256,lesion_id,image_id", *old]).encode()))
    images = isic_set(tmp_path, source, prepared.records.iloc[[30]], metadata=False)
    result = require_no_leakage(version, images, 1, SILENT)
    assert result.startswith("none: ")
    assert "compared by name and the SHA-256 of their bytes with" in result
    assert "carries no perceptual hashes" in result


def test_a_version_that_kept_no_colours_is_compared_by_its_hashes(
    tmp_path: Path, source: Path, prepared: Prepared
) -> None:
    version = publish(tmp_path / "models", prepared, np.arange(20))
    path = version.path / TRAINING_SET_NAME
    table = pd.read_csv(path).drop(columns="colours")
    path.write_bytes(gzip.compress(table.to_csv(index=False).encode()))
    images = isic_set(tmp_path, source, prepared.records.iloc[[3, 30]], metadata=False)
    copies = tuple(partial(altered, read()) for read in images.readers)
    renamed = replace(images, names=("mine", "yours"), readers=copies)
    with pytest.raises(LeakageError, match="1 of 2 images looks like an image that trained"):
        require_no_leakage(version, renamed, 2, SILENT)


def test_an_older_version_is_checked_by_the_digest_of_its_split(
    tmp_path: Path, source: Path, prepared: Prepared
) -> None:
    whole = split(prepared.records)
    names = prepared.records["image_id"].to_numpy()
    digest = split_digest({"train": names[whole.train], "validation": names[whole.validation]})
    record = SplitRecord(train=len(whole.train), validation=len(whole.validation), digest=digest)
    version = publish(tmp_path / "models", prepared, None, split=record)
    with open_held_back(find_source(source)) as images:
        result = require_no_leakage(version, images, 2, SILENT)
    assert result.startswith("none: ")
    assert "compared by name and lesion" in result
    trained = isic_set(tmp_path, source, prepared.records.iloc[whole.train[:1]], metadata=True)
    with pytest.raises(LeakageError, match=names[whole.train[0]]):
        require_no_leakage(version, trained, 2, SILENT)


def test_a_version_without_a_training_set_is_not_checked(
    tmp_path: Path, source: Path, prepared: Prepared
) -> None:
    version = publish(tmp_path / "models", prepared, None)
    with open_held_back(find_source(source)) as images:
        result = require_no_leakage(version, images, 2, SILENT)
        unknown_version = require_no_leakage(None, images, 2, SILENT)
    assert result.startswith("not checked: version 1 does not carry a list of its training images")
    assert unknown_version.startswith("not checked: a service does not report")
