from pathlib import Path

import numpy as np
import pytest

from lentigo_trainer.data.ham10000 import find_source
from lentigo_trainer.data.splits import split
from lentigo_trainer.errors import DamagedArchiveError, SourceNotFoundError, TruthError
from lentigo_trainer.evaluation.images.image_sets import (
    HOLD_OUT,
    TUNING,
    VALIDATION,
    ImageSet,
    open_held_back,
    open_isic_set,
)
from tests.fakes import synthetic_ham10000
from tests.trainer.evaluation.isic import (
    SEVEN,
    one_hot,
    pictures,
    write_archive,
    write_images,
    write_table,
    write_truth,
)
from tests.trainer.published import published_records


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    return write_truth(tmp_path / "truth.csv")


def metadata(path: Path, **changes: str) -> Path:
    """HAM10000's metadata of the seven images; `changes` are diagnoses by image."""
    rows = [
        f"HAM_{number},{name},{changes.get(name, code)},histo,55,female,back"
        for number, (name, code) in enumerate(SEVEN.items())
    ]
    head = "lesion_id,image_id,dx,dx_type,age,sex,localization"
    path.write_text("\n".join([head, *rows[::-1]]))
    return path


def test_images_are_found_in_a_folder_an_archive_and_folders_within(
    tmp_path: Path, truth: Path
) -> None:
    folder = write_images(tmp_path / "all" / "within").parent
    archive = write_archive(tmp_path / "images.zip")
    for part in (folder, archive):
        with open_isic_set([part], truth, None) as images:
            assert images.names == tuple(SEVEN)
            assert [read() for read in images.readers] == list(pictures().values())
            assert images.people is None
            assert images.groups.tolist() == list(SEVEN)


def test_images_may_lie_in_several_archives(tmp_path: Path, truth: Path) -> None:
    half = dict(list(SEVEN.items())[:3])
    rest = {name: code for name, code in SEVEN.items() if name not in half}
    parts = [write_archive(tmp_path / "1.zip", half), write_archive(tmp_path / "2.zip", rest)]
    with open_isic_set(parts, truth, None) as images:
        assert len(images.readers) == 7


def test_further_images_are_counted_and_left_out(tmp_path: Path, truth: Path) -> None:
    folder = write_images(tmp_path / "images", {**SEVEN, "ISIC_2": "nv", "ISIC_3": "mel"})
    with open_isic_set([folder], truth, None) as images:
        assert images.unlisted == 2
        assert len(images.names) == 7


def test_a_truth_without_its_image_is_refused_by_name(tmp_path: Path, truth: Path) -> None:
    folder = write_images(tmp_path / "images")
    (folder / "ISIC_9000003.jpg").unlink()
    message = "1 image that .* does not hold .*: ISIC_9000003"
    with pytest.raises(TruthError, match=message), open_isic_set([folder], truth, None):
        pass


def test_two_images_of_one_name_are_refused(tmp_path: Path, truth: Path) -> None:
    folder = write_images(tmp_path / "images")
    write_images(folder / "again", {"ISIC_9000001": "nv"})
    message = "1 image of which .* holds several: ISIC_9000001"
    with pytest.raises(TruthError, match=message), open_isic_set([folder], truth, None):
        pass


def test_a_damaged_archive_is_refused(tmp_path: Path, truth: Path) -> None:
    archive = write_archive(tmp_path / "images.zip")
    archive.write_bytes(archive.read_bytes()[:-40])
    with (
        pytest.raises(DamagedArchiveError, match=r"images\.zip is cut off or is not a zip"),
        open_isic_set([archive], truth, None),
    ):
        pass


def test_missing_images_are_refused(tmp_path: Path, truth: Path) -> None:
    with (
        pytest.raises(SourceNotFoundError, match="Give --images"),
        open_isic_set([tmp_path / "nothing"], truth, None),
    ):
        pass


def test_metadata_gives_each_image_its_lesion(tmp_path: Path, truth: Path) -> None:
    folder = write_images(tmp_path / "images")
    with open_isic_set([folder], truth, metadata(tmp_path / "ham.csv")) as images:
        assert images.people is not None
        assert images.people["image_id"].tolist() == list(SEVEN)
        assert images.groups.tolist() == [f"HAM_{number}" for number in range(7)]


def test_metadata_that_contradicts_the_truth_is_refused(tmp_path: Path, truth: Path) -> None:
    folder = write_images(tmp_path / "images")
    table = metadata(tmp_path / "ham.csv", ISIC_9000001="nv")
    message = r"another diagnosis than .*: ISIC_9000001 \(akiec, not nv\)"
    with pytest.raises(TruthError, match=message), open_isic_set([folder], truth, table):
        pass


def test_metadata_that_lacks_an_image_is_refused(tmp_path: Path) -> None:
    truth = write_table(tmp_path / "truth.csv", [one_hot("ISIC_1", "nv")])
    table = metadata(tmp_path / "ham.csv")
    message = "1 image that .* lacks: ISIC_1"
    with pytest.raises(TruthError, match=message), open_isic_set([tmp_path], truth, table):
        pass


def test_the_papers_images_come_with_their_lesions(tmp_path: Path) -> None:
    source = find_source(synthetic_ham10000(tmp_path, 20, size=(64, 48)))
    with open_held_back(source) as images:
        assert images.people is not None
        assert images.metadata is not None
        assert not images.people["lesion_id"].duplicated().any()
        assert len(images.names) == len(images.readers) == len(images.truth) > 0


def test_parts_that_were_held_back_share_no_lesion(tmp_path: Path) -> None:
    source = find_source(synthetic_ham10000(tmp_path, 20, size=(64, 48)))
    found: list[str] = []
    for part in (VALIDATION, TUNING, HOLD_OUT):
        with open_held_back(source, part) as images:
            assert images.people is not None
            found += images.people["lesion_id"].unique().tolist()
    assert len(set(found)) == len(found) > 0


def test_known_duplicates_are_told_only_outside_the_papers_training_images() -> None:
    records = published_records()
    halves = split(records)
    validating, training = halves.validation[0], halves.train[-1]
    records.loc[validating, "image_id"] = "ISIC_0027027"
    records.loc[training, "image_id"] = "ISIC_0029036"
    people = records.loc[[halves.validation[1], validating, training]]
    images = ImageSet(
        "made up", tuple(people["image_id"]), np.zeros(3, np.int64), (), people, records
    )
    assert images.duplicated.tolist() == [False, True, False]
