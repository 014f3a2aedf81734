import csv
import io
from collections.abc import Iterable
from zipfile import BadZipFile

import pytest

from lentigo_contract.labels import CODES
from lentigo_trainer.data.extra.archives import TableFile
from lentigo_trainer.data.extra.metadata import MetadataRow, read_metadata_tables
from lentigo_trainer.errors import MetadataError


def table(*rows: str, name: str = "metadata.csv") -> TableFile:
    data = "\n".join(rows).encode("utf-8-sig")
    return TableFile(name, lambda: data)


def read_rows(tables: Iterable[TableFile]) -> tuple[MetadataRow, ...]:
    return read_metadata_tables(tables).rows


def row_of(header: str, **values: str) -> str:
    file = io.StringIO()
    csv.writer(file).writerow([values.get(name, "") for name in header.split(",")])
    return file.getvalue().strip()


def test_todays_metadata_of_the_archive_is_read() -> None:
    header = (
        "isic_id,attribution,copyright_license,age_approx,anatom_site_general,diagnosis_1,"
        "diagnosis_2,diagnosis_3,diagnosis_4,diagnosis_5,diagnosis_confirm_type,image_type,"
        "lesion_id,patient_id,sex"
    )
    line = row_of(
        header,
        isic_id="ISIC_0000001",
        attribution="A clinic, somewhere",
        copyright_license="CC-BY",
        age_approx="55",
        diagnosis_1="Benign",
        diagnosis_2="Benign melanocytic proliferations",
        diagnosis_3="Nevus",
        image_type="dermoscopic",
        lesion_id="IL_1",
        patient_id="IP_1",
        sex="female",
    )
    (row,) = read_rows([table(header, line)])
    assert row.words[:3] == ("Nevus", "Benign melanocytic proliferations", "Benign")
    assert (row.image, row.lesion, row.patient) == ("ISIC_0000001", "IL_1", "IP_1")
    assert (row.license, row.attribution) == ("CC-BY", "A clinic, somewhere")
    assert (row.age, row.sex, row.kind) == ("55", "female", "dermoscopic")


def test_older_metadata_of_the_archive_has_one_word() -> None:
    (row,) = read_rows([table("isic_id,diagnosis", "ISIC_0000001,seborrheic keratosis")])
    assert row.words == ("seborrheic keratosis",)


def test_the_tables_of_isic_2019_complete_each_other() -> None:
    truth = table(
        "image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK",
        "ISIC_0000001,0.0,0.0,0.0,1.0,0.0,0.0,0.0,0.0,0.0",
        "ISIC_0000002_downsampled,0,0,0,0,0,0,0,1,0",
        "ISIC_0000003,1,1,0,0,0,0,0,0,0",
    )
    beside = table(
        "image,age_approx,anatom_site_general,lesion_id,sex",
        "ISIC_0000001,85.0,head/neck,BCN_1,male",
    )
    first, second, third = read_rows([beside, truth])
    assert (first.words, first.lesion, first.site) == (("AK",), "BCN_1", "head/neck")
    assert (second.image, second.words) == ("ISIC_0000002_downsampled", ("SCC",))
    assert third.words == ()


def test_a_plain_table_and_names_with_suffix_are_read() -> None:
    (row,) = read_rows([table("image,label,lesion", "photo 1.JPG,nevus,7")])
    assert (row.image, row.words, row.lesion) == ("photo 1", ("nevus",), "7")


def test_a_table_like_that_of_ham10000_keeps_size_and_group() -> None:
    (row,) = read_rows(
        [table("image_id,dx,lesion_id,group,width,height,origin", "a,mel,,g1,1022,767,there")]
    )
    assert (row.image, row.words, row.group) == ("a", ("mel",), "g1")
    assert (row.width, row.height) == ("1022", "767")


def test_a_table_of_another_form_is_named() -> None:
    with pytest.raises(MetadataError, match=r"stock\.csv has none of these forms.*image with labe"):
        read_rows([table("a,b", "1,2", name="stock.csv")])


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b"image,label,label\na,b,c"])
def test_a_table_that_cannot_be_read_is_named(data: bytes) -> None:
    with pytest.raises(MetadataError, match=r"m\.csv"):
        read_rows([TableFile("m.csv", lambda: data)])


def test_the_form_tells_which_diagnoses_an_image_could_have_been_given() -> None:
    archive = table("isic_id,diagnosis_3", "a,Dermatofibroma")
    challenge = table("image,MEL,NV,UNK", "b,1,0,0")
    plain = table("image,label", "c,mel")
    assert read_metadata_tables([archive]).knows == frozenset(CODES)
    assert read_metadata_tables([challenge]).knows == frozenset({"MEL", "NV", "UNK"})
    assert read_metadata_tables([archive, plain]).knows is None


def test_a_table_in_a_damaged_archive_is_named() -> None:
    def read() -> bytes:
        raise BadZipFile("Bad CRC-32")

    with pytest.raises(MetadataError, match=r"m\.csv cannot be read"):
        read_metadata_tables([TableFile("m.csv", read)])
