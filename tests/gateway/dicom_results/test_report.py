import math
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset

from lentigo_contract.labels import CODES, RESEARCH_NOTICE
from lentigo_gateway.archive.files import file_bytes
from lentigo_gateway.dicom_results import structured_report
from lentigo_gateway.errors import NotDicomError, PixelsError, TryAgainError
from tests.gateway.dicom_results.images import (
    AT,
    PHOTOGRAPH,
    UIDS,
    answer,
    instance,
    jpeg_instance,
)
from tests.gateway.dicom_results.standard import (
    codes,
    errors_of,
    items,
    name_of,
    numbers,
    read_again,
    texts,
)
from tests.predictions import DIGEST, SHARES, answer_document, refusal_document


def report_on(image: Dataset, *answers: Any) -> Dataset:
    made = structured_report(image, answers or [answer()], made_at=AT, uids=UIDS)
    return read_again(made)


EVERY_KIND: dict[str, Callable[[], Dataset]] = {
    "answer": lambda: report_on(instance()),
    "refused": lambda: report_on(instance(), answer(refusal_document("blurred", "too-small"))),
    "out of distribution": lambda: report_on(
        instance(), answer(refusal_document("unlike-training-images"))
    ),
    "frames": lambda: report_on(jpeg_instance(2), answer(frame=1), answer(frame=2)),
    "photograph": lambda: report_on(instance(SOPClassUID=PHOTOGRAPH, Modality="XC")),
    "grey": lambda: report_on(
        instance(
            PhotometricInterpretation="MONOCHROME1", SamplesPerPixel=1, PlanarConfiguration=None
        )
    ),
    "no side": lambda: report_on(instance(Laterality=None, PatientOrientation=None)),
    "no patient": lambda: report_on(
        instance(PatientName=None, PatientID=None, PatientSex=None, PatientBirthDate=None)
    ),
    "no study": lambda: report_on(
        instance(StudyID=None, StudyDate=None, StudyTime=None, AccessionNumber=None)
    ),
    "Unicode": lambda: report_on(
        instance(SpecificCharacterSet="ISO_IR 192", PatientName="Müller^Zoë=山田^太郎")
    ),
    "odd sex": lambda: report_on(instance(PatientSex="X")),
}


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_every_report_passes_dciodvfy(kind: str, tmp_path: Path) -> None:
    errors = errors_of(EVERY_KIND[kind](), tmp_path)
    if errors is None:
        pytest.skip("dciodvfy is not installed: Debian's package dicom3tools")
    assert errors == []


def test_a_report_lies_in_the_study_of_the_image_and_refers_to_it() -> None:
    report = report_on(instance())
    assert report.StudyInstanceUID == "2.25.1"
    assert report.SeriesInstanceUID != "2.25.2"
    assert (report.PatientID, str(report.PatientName)) == ("4711", "Test^Patient")
    (study,) = report.CurrentRequestedProcedureEvidenceSequence
    (series,) = study.ReferencedSeriesSequence
    (evidence,) = series.ReferencedSOPSequence
    assert series.SeriesInstanceUID == "2.25.2"
    assert evidence.ReferencedSOPInstanceUID == "2.25.3"
    listed, measured = [item for item in items(report) if item.ValueType == "IMAGE"]
    assert listed.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == "2.25.3"
    assert measured.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == "2.25.3"
    assert "ReferencedFrameNumber" not in measured.ReferencedSOPSequence[0]


def test_the_region_is_the_whole_image() -> None:
    (region,) = [item for item in items(report_on(instance())) if item.ValueType == "SCOORD"]
    assert region.GraphicType == "POLYLINE"
    assert list(region.GraphicData) == [0, 0, 300, 0, 300, 225, 0, 225, 0, 0]


def test_viewers_find_what_they_look_for() -> None:
    """OHIF 3 opens no report without a library of images, or with a number that has no region."""
    report = report_on(instance())
    names = [name_of(item) for item in report.ContentSequence]
    assert name_of(report) == "126000"
    assert {"111028", "126010"} <= set(names)
    (measured,) = [item for item in report.ContentSequence if name_of(item) == "126010"]
    (group,) = measured.ContentSequence
    assert "SCOORD" in [item.ValueType for item in group.ContentSequence]
    assert {"112039", "112040"} <= {name_of(item) for item in group.ContentSequence}


def test_a_report_has_the_seven_probabilities_and_that_of_malignancy() -> None:
    found = numbers(report_on(instance()))
    assert {code: found[f"probability-{code}"] for code in CODES} == pytest.approx(SHARES)
    assert found["probability-malignant"] == pytest.approx(0.69)
    assert found["referral-threshold"] == pytest.approx(0.18)


def test_a_report_has_the_diagnosis_and_the_recommendation() -> None:
    report = report_on(instance())
    assert codes(report, "diagnosis") == ["mel"]
    assert codes(report, "121075") == ["refer"]
    assert codes(report, "image-quality") == ["accepted"]
    assert codes(report, "confidence") == ["confident"]


def test_a_refusal_is_a_report_with_its_reasons() -> None:
    report = report_on(instance(), answer(refusal_document("blurred", "too-small")))
    assert codes(report, "diagnosis") == ["no-diagnosis"]
    assert codes(report, "121075") == ["refer"]
    assert codes(report, "image-quality") == ["blurred", "too-small"]
    assert set(numbers(report)) == {"referral-threshold"}


def test_a_report_names_the_algorithm_its_version_and_its_digest() -> None:
    report = report_on(instance())
    assert "Lentigo, model lentigo" in texts(report)
    assert "4" in texts(report)
    assert f"sha256={DIGEST}" in texts(report)
    assert report.DeviceSerialNumber == DIGEST
    assert report.Manufacturer == "Lentigo"


def test_a_report_is_preliminary_and_says_that_it_is_research() -> None:
    report = report_on(instance())
    assert report.PreliminaryFlag == "PRELIMINARY"
    assert report.VerificationFlag == "UNVERIFIED"
    assert texts(report).count(RESEARCH_NOTICE) == 2
    first = next(item for item in report.ContentSequence if item.RelationshipType == "CONTAINS")
    assert first.TextValue == RESEARCH_NOTICE


def test_each_frame_has_a_group_that_refers_to_it() -> None:
    report = report_on(jpeg_instance(2), answer(frame=1), answer(refusal_document(), frame=2))
    images = [item for item in items(report) if item.ValueType == "IMAGE"][1:]
    numbered = [item.ReferencedSOPSequence[0].ReferencedFrameNumber for item in images]
    assert numbered == [1, 2]
    assert codes(report, "diagnosis") == ["mel", "no-diagnosis"]


def test_the_same_answers_are_the_same_bytes() -> None:
    first, again = (
        structured_report(instance(), [answer()], made_at=AT, uids=UIDS) for _ in range(2)
    )
    assert file_bytes(first) == file_bytes(again)


def test_times_are_in_the_zone_of_the_study() -> None:
    assert report_on(instance()).ContentTime == "100001"
    east = report_on(instance(TimezoneOffsetFromUTC="+0200"))
    assert (east.ContentTime, east.TimezoneOffsetFromUTC) == ("120001", "+0200")
    bent = report_on(instance(TimezoneOffsetFromUTC="+9900"))
    assert (bent.ContentTime, bent.TimezoneOffsetFromUTC) == ("100001", "+0000")


def test_control_characters_of_a_name_go_no_further() -> None:
    report = report_on(instance(PatientName="Evil^Na\x00me\x1b[2J\r\n", PatientID="47\x0711"))
    assert str(report.PatientName) == "Evil^Name[2J"
    assert report.PatientID == "4711"


def test_private_elements_of_the_image_go_no_further() -> None:
    image = instance()
    block = image.private_block(0x0011, "SOMEBODY", create=True)
    block.add_new(0x01, "LT", "<script>alert(1)</script>")
    assert b"script" not in file_bytes(structured_report(image, [answer()], made_at=AT, uids=UIDS))


def test_a_date_that_is_none_is_left_empty() -> None:
    image = instance()
    image["StudyDate"]._value = "yesterday"
    assert report_on(image).StudyDate == ""


def test_a_number_that_is_too_long_is_the_same_number() -> None:
    image = instance()
    image["PatientID"]._value = "4" * 80
    report = structured_report(image, [answer()], made_at=AT, uids=UIDS)
    assert report.PatientID == "4" * 80
    assert b"4" * 80 in file_bytes(report)


@pytest.mark.parametrize("member", ["Rows", "Columns"])
@pytest.mark.parametrize("value", [None, 0])
def test_an_image_without_an_extent_gets_no_report(member: str, value: int | None) -> None:
    image = instance()
    image[member].value = value
    with pytest.raises(PixelsError, match="extent"):
        report_on(image)


@pytest.mark.parametrize(
    "keyword", ["SOPInstanceUID", "SOPClassUID", "StudyInstanceUID", "SeriesInstanceUID"]
)
@pytest.mark.parametrize("value", [None, ""])
def test_an_image_that_does_not_say_which_it_is_gets_no_report(
    keyword: str, value: str | None
) -> None:
    image = instance()
    del image[keyword]
    if value is not None:
        setattr(image, keyword, value)
    with pytest.raises(NotDicomError, match=keyword):
        report_on(image)


BAD: dict[str, dict[str, Any]] = {
    "a member is missing": {"malignancy": {"probability": 0.1}},
    "NaN": {"malignancy": {"probability": math.nan, "threshold": 0.1, "refer": True}},
    "an unknown diagnosis": {"diagnosis": {"code": "wart", "probability": 0.5}},
    "no probabilities": {"probabilities": None},
    "no model": {"model": None},
}


@pytest.mark.parametrize("name", BAD)
def test_an_answer_that_is_none_is_tried_again(name: str) -> None:
    from lentigo_gateway.answers import Answer

    document = answer_document(**BAD[name])
    with pytest.raises(TryAgainError) as caught:
        report_on(instance(), Answer(document, answer_document()["model"], AT, None))
    assert caught.value.server == "service"


def test_a_report_needs_an_answer() -> None:
    with pytest.raises(ValueError, match="an answer"):
        structured_report(instance(), [], made_at=datetime.now(UTC), uids=UIDS)
