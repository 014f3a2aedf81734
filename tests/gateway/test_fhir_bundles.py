import pytest

from lentigo_contract.fhir.codes import shipped_code_map
from lentigo_gateway.errors import NotDicomError
from lentigo_gateway.fhir_bundles import answer_bundles
from tests.contract.fhir.r4 import assert_valid, by_type
from tests.gateway.dicom_results.images import answer, instance, jpeg_instance
from tests.predictions import refusal_document

SYSTEM = "https://hospital.example/patients"


def test_each_frame_has_a_bundle_of_its_own() -> None:
    bundles = answer_bundles(
        jpeg_instance(2),
        [answer(frame=1), answer(refusal_document(), frame=2)],
        patient_system=SYSTEM,
        codes=shipped_code_map(),
    )
    assert len(bundles) == 2
    reports = []
    for bundle in bundles:
        assert_valid(bundle)
        (report,) = by_type(bundle)["DiagnosticReport"]
        assert report["subject"]["identifier"] == {"system": SYSTEM, "value": "4711"}
        reports.append(report["identifier"][0]["value"])
    assert len(set(reports)) == 2


@pytest.mark.parametrize(
    ("system", "number"), [(None, "4711"), (SYSTEM, None), (SYSTEM, "\x00 "), (SYSTEM, "1" * 65)]
)
def test_without_a_namespace_or_a_number_nobody_is_named(
    system: str | None, number: str | None
) -> None:
    image = instance()
    image["PatientID"]._value = number
    (bundle,) = answer_bundles(image, [answer()], patient_system=system, codes=shipped_code_map())
    assert_valid(bundle)
    found = by_type(bundle)
    assert "subject" not in found["DiagnosticReport"][0]
    assert "ImagingStudy" not in found


def test_a_name_is_never_in_a_bundle() -> None:
    bundles = answer_bundles(
        instance(), [answer()], patient_system=SYSTEM, codes=shipped_code_map()
    )
    assert "Test" not in str(bundles)


def test_an_image_that_does_not_say_which_it_is_has_none() -> None:
    with pytest.raises(NotDicomError):
        answer_bundles(
            instance(SOPInstanceUID=None),
            [answer()],
            patient_system=SYSTEM,
            codes=shipped_code_map(),
        )
