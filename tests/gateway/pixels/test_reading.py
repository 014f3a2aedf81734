import pytest
from pydicom import Dataset

from lentigo_gateway.errors import BoundsError, NotDicomError
from lentigo_gateway.pixels.reading import found_in, header_of, read_dataset
from tests.gateway.dicom import DERMOSCOPIC, SERIES, STUDY, dermoscopic, file_of

LIMIT = 10**7


def test_an_instance_says_which_it_is() -> None:
    image = read_dataset(file_of(dermoscopic(7)), LIMIT)
    found = found_in(image, "dicomweb")
    assert (found.sop_instance_uid, found.study_instance_uid) == (f"{STUDY}.3.7", STUDY)
    header = header_of(image)
    assert (header.sop_class, header.modality, header.station) == (DERMOSCOPIC, "DMS", "DERM1")
    assert header.descriptions == ("Skin check", "Dermoscopy")


def test_a_file_without_a_preamble_is_read() -> None:
    # As some archives give back what was pushed to them without one.
    data = file_of(dermoscopic())[132:]
    image = read_dataset(data, LIMIT)
    assert image.file_meta.TransferSyntaxUID.is_encapsulated


@pytest.mark.parametrize(
    "data",
    [b"", b"no", b"\xff\xd8\xff\xe0 a JPEG", b"\x00" * 10_000, b"DICM", b"\x00" * 128 + b"DICM"],
)
def test_what_is_not_dicom_is_refused(data: bytes) -> None:
    with pytest.raises(NotDicomError):
        read_dataset(data, LIMIT)


@pytest.mark.parametrize("length", [200, 400, 700])
def test_a_file_that_is_cut_off_is_refused(length: int) -> None:
    with pytest.raises(NotDicomError):
        read_dataset(file_of(dermoscopic())[:length], LIMIT)


def test_a_file_that_is_too_large_is_refused_before_it_is_read() -> None:
    with pytest.raises(BoundsError, match="at most 1,000"):
        read_dataset(file_of(dermoscopic()), 1_000)


def test_a_deflated_file_is_refused_before_it_is_inflated() -> None:
    data = file_of(dermoscopic()).replace(b"1.2.840.10008.1.2.4.50", b"1.2.840.10008.1.2.1.99")
    with pytest.raises(NotDicomError, match="deflated"):
        read_dataset(data, LIMIT)


@pytest.mark.parametrize(
    "keyword", ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"]
)
def test_an_instance_without_one_of_its_uids_is_refused(keyword: str) -> None:
    image = dermoscopic()
    data = file_of(image).replace(
        str(image[keyword].value).encode(), b"../../etc/passwd"[: len(str(image[keyword].value))]
    )
    with pytest.raises(NotDicomError):
        read_dataset(data, LIMIT)


def test_a_message_does_not_quote_the_data_set() -> None:
    image = dermoscopic(PatientName="Roe^Richarda")
    data = file_of(image).replace(SERIES.encode(), b"Roe^Richarda"[: len(SERIES)])
    with pytest.raises(NotDicomError) as raised:
        read_dataset(data[:600], LIMIT)
    assert "Roe" not in str(raised.value)


def test_values_that_cannot_be_text_count_as_empty() -> None:
    image = Dataset()
    image.SOPClassUID = DERMOSCOPIC
    image.add_new("StationName", "SH", None)
    assert header_of(image).station == ""
