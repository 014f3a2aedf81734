import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lentigo_contract.imaging.read import read_image
from lentigo_contract.labels import CODES
from lentigo_trainer.data.extra.archives import ImageFile
from lentigo_trainer.data.extra.decoding import index_images
from lentigo_trainer.data.extra.duplicates import ExactIndex
from lentigo_trainer.data.extra.imported_set import SUMMARY, open_set
from lentigo_trainer.data.extra.selection import NO_IMAGE
from lentigo_trainer.errors import (
    ImportedSetError,
    LicenseError,
    MetadataError,
    UnsafeArchiveError,
)
from lentigo_trainer.system.progress import SilentProgress
from tests.images import encoded
from tests.trainer.data.extra.collections_on_disk import (
    imported,
    picture,
    write_archive,
    write_images,
    write_table,
)

PLAIN = ("image", "label", "lesion")


def source(folder: Path, *rows: tuple[str, str, str], more: tuple[str, ...] = ()) -> Path:
    """A folder with a plain table and an image for each of its rows."""
    write_images(folder, *dict.fromkeys([*(row[0] for row in rows), *more]))
    write_table(folder / "labels.csv", PLAIN, *rows)
    return folder


def index_of(**images: bytes) -> ExactIndex:
    index = ExactIndex()
    files = [(name, [ImageFile(".jpg", lambda data=data: data)]) for name, data in images.items()]
    index_images(index, "the test set", files, 1, SilentProgress())
    return index


def test_a_set_has_every_image_as_it_came_and_as_the_network_takes_it(tmp_path: Path) -> None:
    folder = source(tmp_path / "in", ("b", "Nevus", "1"), ("a", "MEL", "2"), ("c", "mel", "2"))
    summary = imported(tmp_path / "set", folder).summary
    assert (summary.images, summary.groups, summary.classes) == (3, 2, {"mel": 2, "nv": 1})
    found = open_set(tmp_path / "set")
    assert found.records["image_id"].tolist() == ["a", "b", "c"]
    assert found.records["lesion_id"].tolist() == ["others:2", "others:1", "others:2"]
    assert found.aspects == pytest.approx(64 / 48)
    with found.open_images() as readers:
        data = [read() for read in readers]
    assert data == [(folder / f"{name}.jpg").read_bytes() for name in "abc"]
    assert np.array_equal(found.pixels(), [read_image(each).pixels for each in data])
    assert found.known.tolist() == [False, False, False, False, True, True, False]


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_a_table_may_name_images_by_the_digest_of_their_bytes(tmp_path: Path) -> None:
    """As a service's audit trail does, which knows no file names."""
    for number, name in enumerate(("2026/IMG_1.jpg", "2027/IMG_1.jpg", "jane-doe.jpg", "copy.jpg")):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(min(number, 2)))
    first, second, third, gone = (digest(picture(number)) for number in range(4))
    rows = ((first, "nv"), (second, "mel"), (third, "bkl"), (gone, "df"))
    write_table(tmp_path / "in" / "confirmed.csv", ("image", "label"), *rows)
    result = imported(tmp_path / "set", tmp_path / "in")
    found = open_set(tmp_path / "set")
    said = dict(zip(found.records["image_id"], found.records["dx"], strict=True))
    assert said == {first: "nv", second: "mel", third: "bkl"}
    with found.open_images() as readers:
        assert [digest(read()) for read in readers] == found.records["image_id"].tolist()
    assert result.left_out.names == {NO_IMAGE: [gone]}


def test_an_image_that_tables_have_by_its_name_keeps_it(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "in", "a", "b")
    write_table(folder / "names.csv", ("image", "label"), ("a", "nv"))
    write_table(folder / "digests.csv", ("image", "label"), (digest(picture(1)), "mel"))
    imported(tmp_path / "set", folder)
    found = open_set(tmp_path / "set")
    assert set(found.records["image_id"]) == {"a", digest(picture(1))}


def test_an_archive_with_its_own_metadata_gives_the_same_set_again(tmp_path: Path) -> None:
    members = {
        "metadata.csv": b"isic_id,diagnosis_3,copyright_license,attribution\n"
        b"ISIC_0000001,Nevus,CC-0,A clinic\nISIC_0000002,Hemangioma,CC-BY-NC,Another\n",
        "ISIC_0000001.jpg": picture(1),
        "ISIC_0000002.jpg": picture(2),
        "licenses/CC-0.txt": b"...",
    }
    path = write_archive(tmp_path / "isic.zip", members)
    first, second = (
        imported(tmp_path / name, path, license=None).summary for name in ("first", "second")
    )
    assert first == second
    assert first.license == "CC BY-NC"
    assert first.licenses == {"CC BY-NC": 1, "CC0": 1}
    assert first.attributions == {"A clinic": 1, "Another": 1}
    for name in ("images.zip", "images.u8", "records.csv", SUMMARY):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_the_size_before_squashing_is_kept_and_unknown_where_it_is_not_stated(
    tmp_path: Path,
) -> None:
    folder = write_images(tmp_path / "in", "a", "b")
    header = ("image_id", "dx", "width", "height")
    write_table(folder / "m.csv", header, ("a", "nv", "3000", "2000"), ("b", "nv", "", ""))
    imported(tmp_path / "set", folder)
    found = open_set(tmp_path / "set")
    assert found.records["width"].tolist() == [3000, 0]
    assert found.aspects.tolist() == pytest.approx([1.5, 4 / 3])


def test_the_parts_of_a_set_share_no_group(tmp_path: Path) -> None:
    rows = [(f"image-{number}", "nv", f"lesion-{number // 2}") for number in range(24)]
    imported(tmp_path / "set", source(tmp_path / "in", *rows), kept_out_share=0.5)
    training, kept_out = (open_set(tmp_path / "set", part) for part in ("training", "kept-out"))
    assert len(training.rows) + len(kept_out.rows) == 24
    assert len(kept_out.rows)
    assert not set(training.records["lesion_id"]) & set(kept_out.records["lesion_id"])
    assert len(training.labels) == len(training.rows) == len(training.aspects)


def test_the_archives_hierarchy_knows_all_seven_and_a_plain_table_what_it_has(
    tmp_path: Path,
) -> None:
    folder = write_images(tmp_path / "in", "a")
    write_table(folder / "m.csv", ("isic_id", "diagnosis_3"), ("a", "Dermatofibroma"))
    assert imported(tmp_path / "archive", folder).summary.knows == CODES
    write_table(folder / "m.csv", ("image", "label"), ("a", "df"))
    assert imported(tmp_path / "plain", folder).summary.knows == ("df",)
    write_table(folder / "m.csv", ("image", "MEL", "NV", "AK", "UNK"), ("a", "0", "1", "0", "0"))
    assert imported(tmp_path / "challenge", folder).summary.knows == ("akiec", "mel", "nv")


# Bad input: what is wrong is left out in one line, and the rest is imported.

GOOD = ("good", "nv", "0")


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([("a", "gribble", "1")], r"unknown diagnosis \(gribble\): 1 \(a\)\. The reviewed table"),
        ([("a", "", "1")], r"without a diagnosis: 1 \(a\)"),
        ([("a", "Verruca", "1")], r"Verruca: none of the seven: 1 \(a\)"),
        ([("a", "nv", "1"), ("a", "mel", "1")], r"listed with two labels: 1 \(a\)"),
        ([("a", "nv", "1"), ("b", "mel", "1")], r"of a lesion with two diagnoses: 2 \(a, b\)"),
        ([("a", "nv", "1"), ("b", "Scar", "1")], r"of a lesion with two diagnoses: 2 \(a, b\)"),
    ],
)
def test_rows_that_cannot_be_used_are_left_out_in_one_line(
    tmp_path: Path, rows: list[tuple[str, str, str]], reason: str
) -> None:
    said: list[str] = []
    result = imported(tmp_path / "set", source(tmp_path / "in", GOOD, *rows), said=said)
    assert result.summary.images == 1
    lines = [line for line in said if line.startswith("Left out")]
    assert len(lines) == 1
    assert re.search(reason, lines[0]), lines[0]


def test_images_and_metadata_without_each_other_are_left_out(tmp_path: Path) -> None:
    folder = source(tmp_path / "in", GOOD, ("no-image", "nv", "1"), more=("no-metadata",))
    (folder / "no-image.jpg").unlink()
    left_out = imported(tmp_path / "set", folder).left_out
    assert left_out.names == {
        "not listed in the metadata": ["no-metadata"],
        "listed in the metadata, but there is no such image": ["no-image"],
    }
    assert (tmp_path / "set" / "left-out.csv").read_text().splitlines() == [
        "image_id,reason",
        'no-image,"listed in the metadata, but there is no such image"',
        "no-metadata,not listed in the metadata",
    ]


def test_a_row_that_is_there_twice_counts_once(tmp_path: Path) -> None:
    result = imported(tmp_path / "set", source(tmp_path / "in", GOOD, GOOD))
    assert (result.summary.images, result.left_out.names) == (1, {})


def test_what_is_not_dermatoscopic_is_left_out(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "in", "a", "b")
    header = ("isic_id", "diagnosis_3", "image_type")
    rows = [("a", "Nevus", "dermoscopic"), ("b", "Nevus", "clinical: overview")]
    write_table(folder / "metadata.csv", header, *rows)
    left_out = imported(tmp_path / "set", folder).left_out
    assert left_out.names == {"not dermatoscopic (clinical: overview)": ["b"]}


@pytest.mark.parametrize(
    ("stated", "reason"),
    [
        ("CC-BY-NC-ND", "under a licence that forbids derivatives"),
        ("ask us", "under an unknown licence (ask us)"),
    ],
)
def test_an_image_whose_licence_does_not_allow_it_is_left_out(
    tmp_path: Path, stated: str, reason: str
) -> None:
    folder = write_images(tmp_path / "in", "a", "b")
    header = ("image", "label", "license")
    write_table(folder / "m.csv", header, ("a", "nv", "CC BY 4.0"), ("b", "nv", stated))
    result = imported(tmp_path / "set", folder)
    assert result.left_out.names == {reason: ["b"]}
    assert result.summary.license == "CC BY 4.0"


def test_images_without_a_licence_need_one_to_be_named(tmp_path: Path) -> None:
    with pytest.raises(LicenseError, match="--license"):
        imported(tmp_path / "set", source(tmp_path / "in", GOOD), license=None)
    assert not (tmp_path / "set").exists()


def test_duplicates_of_an_evaluation_set_are_left_out_by_name_bytes_and_pixels(
    tmp_path: Path,
) -> None:
    rows = [(name, "nv", name) for name in ("good", "bytes", "pixels", "ISIC_0000007_downsampled")]
    folder = source(tmp_path / "in", *rows)
    image = Image.open(folder / "pixels.jpg")
    known = index_of(
        other=(folder / "bytes.jpg").read_bytes(),
        as_png=encoded(image, "PNG"),
        ISIC_0000007=picture(99),
    )
    left_out = imported(tmp_path / "set", folder, known=known).left_out
    assert left_out.names == {
        "a duplicate of the test set": ["ISIC_0000007_downsampled", "bytes", "pixels"]
    }


def test_the_same_picture_twice_is_kept_once_and_joins_its_lesions(tmp_path: Path) -> None:
    rows = [("a", "nv", "1"), ("b", "nv", "2"), ("c", "nv", "2")]
    folder = source(tmp_path / "in", *rows)
    (folder / "b.jpg").write_bytes((folder / "a.jpg").read_bytes())
    result = imported(tmp_path / "set", folder)
    assert result.left_out.names == {"the same picture as another image of the set": ["b"]}
    assert result.summary.groups == 1


def test_the_same_picture_with_two_diagnoses_is_left_out_both_times(tmp_path: Path) -> None:
    folder = source(tmp_path / "in", ("a", "nv", "1"), ("b", "mel", "2"), ("z", "bkl", "3"))
    (folder / "b.jpg").write_bytes((folder / "a.jpg").read_bytes())
    result = imported(tmp_path / "set", folder)
    assert list(result.left_out.names.values()) == [["a", "b"]]
    found = open_set(tmp_path / "set")
    assert np.array_equal(found.pixels()[0], read_image((folder / "z.jpg").read_bytes()).pixels)


def test_files_that_cannot_be_decoded_or_differ_are_left_out(tmp_path: Path) -> None:
    folder = source(tmp_path / "in", GOOD, ("broken", "nv", "1"), ("two", "nv", "2"))
    (folder / "broken.jpg").write_bytes(b"not an image")
    write_archive(folder / "more.zip", {"two.jpg": picture(50), "good.jpg": picture(0)})
    left_out = imported(tmp_path / "set", folder).left_out
    assert left_out.names == {
        "not an image that can be decoded": ["broken"],
        "found in several files that differ": ["two"],
    }


def test_nothing_left_to_import_says_why(tmp_path: Path) -> None:
    with pytest.raises(MetadataError, match=r"No image is left.*unknown diagnosis \(gribble\)"):
        imported(tmp_path / "set", source(tmp_path / "in", ("a", "gribble", "1")))
    assert not (tmp_path / "set" / SUMMARY).exists()


def test_an_unsafe_archive_leaves_no_set(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "a.zip", {"../a.jpg": picture(1), "m.csv": b"image,label\n"})
    with pytest.raises(UnsafeArchiveError):
        imported(tmp_path / "set", path)
    assert not (tmp_path / "set").exists()


def test_a_finished_set_is_not_overwritten_and_an_unfinished_one_is_imported_again(
    tmp_path: Path,
) -> None:
    folder = source(tmp_path / "in", GOOD)
    before = imported(tmp_path / "set", folder).summary
    with pytest.raises(ImportedSetError, match="already"):
        imported(tmp_path / "set", folder)
    (tmp_path / "set" / SUMMARY).unlink()
    assert imported(tmp_path / "set", folder).summary == before


@pytest.mark.parametrize("name", ["records.csv", "images.u8"])
def test_a_damaged_set_is_refused(tmp_path: Path, name: str) -> None:
    imported(tmp_path / "set", source(tmp_path / "in", GOOD))
    path = tmp_path / "set" / name
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ImportedSetError, match="damaged"):
        open_set(tmp_path / "set")


def test_a_folder_without_a_set_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ImportedSetError, match="lentigo-train import"):
        open_set(tmp_path)
