from pathlib import Path

import pytest

from lentigo_trainer.data.ham10000 import COLUMNS, read_metadata, require_images
from lentigo_trainer.errors import MetadataError

HEADER = ",".join(COLUMNS)
ROW = "HAM_0000001,ISIC_0024306,nv,histo,45.0,male,back"


def written(folder: Path, *lines: str, header: str = HEADER) -> Path:
    path = folder / "HAM10000_metadata.csv"
    path.write_text("\n".join((header, *lines)) + "\n")
    return path


def test_a_row_is_read_unchanged(tmp_path: Path) -> None:
    table = read_metadata(written(tmp_path, ROW, ROW.replace("6,nv", "7,nv").replace("45.0", "")))
    assert table.to_numpy()[0].tolist() == [*ROW.split(",")[:4], 45.0, "male", "back"]
    assert table["age"].isna().tolist() == [False, True]


def test_dataverses_tab_separated_metadata_can_be_read(tmp_path: Path) -> None:
    path = written(tmp_path, ROW.replace(",", "\t"), header=HEADER.replace(",", "\t"))
    assert read_metadata(path)["image_id"].tolist() == ["ISIC_0024306"]


@pytest.mark.parametrize("column", ["lesion_id", "image_id", "dx"])
def test_a_missing_column_is_named(tmp_path: Path, column: str) -> None:
    path = written(tmp_path, ROW, header=HEADER.replace(column, "other"))
    with pytest.raises(MetadataError, match=f"no column {column}; it has"):
        read_metadata(path)


def test_an_unknown_diagnosis_is_named_with_its_image(tmp_path: Path) -> None:
    path = written(tmp_path, ROW.replace(",nv,", ",scc,"))
    with pytest.raises(MetadataError, match=r"1 diagnosis other than .*: ISIC_0024306 \(scc\)"):
        read_metadata(path)


def test_an_image_listed_twice_is_named(tmp_path: Path) -> None:
    with pytest.raises(MetadataError, match="1 image listed twice: ISIC_0024306"):
        read_metadata(written(tmp_path, ROW, ROW))


def test_a_lesion_with_two_diagnoses_is_named(tmp_path: Path) -> None:
    other = ROW.replace("ISIC_0024306,nv", "ISIC_0024307,mel")
    with pytest.raises(MetadataError, match="more than one diagnosis: HAM_0000001"):
        read_metadata(written(tmp_path, ROW, other))


def test_an_empty_field_is_named_by_its_line(tmp_path: Path) -> None:
    with pytest.raises(MetadataError, match="without lesion, image or diagnosis: line 3"):
        read_metadata(written(tmp_path, ROW, ",ISIC_0024307,nv,histo,45.0,male,back"))


@pytest.mark.parametrize("content", [b"", b"\x00\xff\xfe\x00", b"no table at all"])
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "HAM10000_metadata.csv"
    path.write_bytes(content)
    with pytest.raises(MetadataError):
        read_metadata(path)


def test_images_without_a_file_are_counted_and_the_first_ones_named(tmp_path: Path) -> None:
    rows = [ROW.replace("24306", f"{24306 + n}") for n in range(15)]
    table = read_metadata(written(tmp_path, *rows))
    with pytest.raises(MetadataError, match=r"14 images .* ISIC_0024307, .* and 4 more"):
        require_images(table, {"ISIC_0024306"}, tmp_path)


def test_a_table_without_a_row_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MetadataError, match="lists no image"):
        read_metadata(written(tmp_path))
