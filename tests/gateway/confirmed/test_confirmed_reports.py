"""From a structured report that confirms a diagnosis to feedback and a final report."""

from pathlib import Path
from typing import Any

import pytest

from lentigo_gateway.config import ConfirmationsConfig
from tests.contract.fhir.r4 import assert_valid
from tests.gateway.bench import Bench
from tests.gateway.confirmed.documents import code_item, melanoma, structured_report
from tests.gateway.confirmed.outcomes import ANSWER, answered, classification, concluded, report
from tests.gateway.dicom import dermoscopic, multi_frame


def test_a_verified_report_becomes_feedback_and_a_final_report(fhir_bench: Bench) -> None:
    image = answered(fhir_bench)
    assert report(fhir_bench)["status"] == "preliminary"
    fhir_bench.archive.put(structured_report(str(image.SOPInstanceUID)))
    fhir_bench.confirm()
    assert fhir_bench.service.feedback == [(ANSWER, "mel", "histopathology")]
    final = report(fhir_bench)
    assert (final["status"], concluded(final)) == ("final", ["mel"])
    assert final["conclusion"].startswith(
        "Confirmed by histopathology: Melanoma. The model had said"
    )
    assert "Research use only" in final["conclusion"]
    assert len(final["result"]) == 3
    assert fhir_bench.confirmation().state == "done"
    for each in fhir_bench.fhir.resources.values():
        assert_valid(each)


def test_what_the_model_said_stays_as_it_was(fhir_bench: Bench) -> None:
    image = answered(fhir_bench)
    before = classification(fhir_bench)
    fhir_bench.archive.put(structured_report(str(image.SOPInstanceUID)))
    fhir_bench.confirm()
    assert classification(fhir_bench) == before


def test_a_report_that_refers_to_ours_alone_is_about_its_image(bench: Bench) -> None:
    answered(bench)
    ours = bench.report_uids()[0]
    bench.archive.put(structured_report(ours))
    bench.confirm()
    assert bench.service.feedback == [(ANSWER, "mel", "histopathology")]


def test_our_report_taken_over_and_verified_confirms_what_it_says(bench: Bench) -> None:
    image = answered(bench)
    said = [code_item(("99LENTIGO", "diagnosis"), ("99LENTIGO", "nv")), melanoma()[1]]
    bench.archive.put(structured_report(str(image.SOPInstanceUID), items=said))
    bench.confirm()
    assert bench.service.feedback == [(ANSWER, "nv", "histopathology")]


@pytest.mark.parametrize(
    "flags", [{"verification": "UNVERIFIED"}, {"completion": "PARTIAL"}, {"completion": ""}]
)
def test_a_report_that_nobody_stands_by_confirms_nothing(
    bench: Bench, flags: dict[str, Any]
) -> None:
    image = answered(bench)
    bench.archive.put(structured_report(str(image.SOPInstanceUID), **flags))
    bench.confirm()
    assert bench.service.feedback == []
    assert {each.state for each in bench.worklist.confirmations.latest(10)} <= {"ignored"}


def test_our_own_results_confirm_nothing(bench: Bench) -> None:
    answered(bench)
    for each in bench.archive.stored:
        bench.archive.put(each)
    bench.confirm()
    assert bench.worklist.confirmations.latest(10) == []


def test_a_report_about_something_else_is_ignored(bench: Bench) -> None:
    answered(bench)
    bench.archive.put(structured_report("1.2.3.4"))
    bench.confirm()
    assert bench.confirmation().state == "ignored"
    assert bench.service.feedback == []


def test_a_report_about_two_answered_images_is_refused(bench: Bench) -> None:
    images = [dermoscopic(number) for number in (1, 2)]
    for each in images:
        bench.archive.put(each)
    bench.work()
    bench.archive.put(structured_report(*(str(each.SOPInstanceUID) for each in images)))
    bench.confirm()
    assert bench.confirmation().state == "refused"
    assert "does not say which" in bench.confirmation().reason


def test_a_report_about_an_instance_of_two_frames_is_refused(bench: Bench) -> None:
    image = answered(bench, multi_frame(2))
    bench.archive.put(structured_report(str(image.SOPInstanceUID)))
    bench.confirm()
    assert bench.confirmation().state == "refused"


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (("SCT", "999999"), "map of codes"),
        (("I10", "C44.9"), "map of codes"),  # wider than basal cell carcinoma
        (("99OTHER", "mel"), "map of codes"),
    ],
)
def test_an_unknown_code_is_refused(bench: Bench, value: tuple[str, str], why: str) -> None:
    image = answered(bench)
    items = [code_item(("DCM", "121077"), value), melanoma()[1]]
    bench.archive.put(structured_report(str(image.SOPInstanceUID), items=items))
    bench.confirm()
    assert bench.confirmation().state == "refused"
    assert why in bench.confirmation().reason
    assert bench.service.feedback == []


def test_a_part_of_a_diagnosis_confirms_it(bench: Bench) -> None:
    image = answered(bench)
    items = [code_item(("DCM", "121073"), ("SCT", "201101007")), melanoma()[1]]
    bench.archive.put(structured_report(str(image.SOPInstanceUID), items=items))
    bench.confirm()
    assert bench.service.feedback == [(ANSWER, "akiec", "histopathology")]


def test_two_diagnoses_are_refused(bench: Bench) -> None:
    image = answered(bench)
    items = [*melanoma(), code_item(("DCM", "121077"), ("99LENTIGO", "nv"))]
    bench.archive.put(structured_report(str(image.SOPInstanceUID), items=items))
    bench.confirm()
    assert "more than one diagnosis" in bench.confirmation().reason


def test_without_a_way_of_confirmation_the_configured_one_stands(tmp_path: Path) -> None:
    for name, config, expected in (
        ("none", ConfirmationsConfig(), []),
        ("set", ConfirmationsConfig(confirmed_by="follow-up"), [(ANSWER, "mel", "follow-up")]),
    ):
        (tmp_path / name).mkdir()
        bench = Bench(tmp_path / name, confirmations=config)
        image = answered(bench)
        items = melanoma()[:1]
        bench.archive.put(structured_report(str(image.SOPInstanceUID), items=items))
        bench.confirm()
        assert bench.service.feedback == expected
        assert bench.confirmation().state == ("done" if expected else "refused")


def test_a_report_that_comes_twice_is_told_once(bench: Bench) -> None:
    image = answered(bench)
    found = structured_report(str(image.SOPInstanceUID))
    for _ in range(2):
        bench.archive.put(found)
        bench.confirm()
    assert len(bench.service.feedback) == 1


def test_a_report_that_is_gone_before_it_is_read_is_ignored(bench: Bench) -> None:
    image = answered(bench)
    found = structured_report(str(image.SOPInstanceUID))
    bench.archive.put(found)
    while bench.source.look():
        pass
    del bench.archive.instances[str(found.SOPInstanceUID)]
    bench.confirm()
    assert bench.confirmation().state == "ignored"


def test_every_version_that_answered_gets_the_feedback(bench: Bench) -> None:
    image = answered(bench)
    bench.service.digest = "e" * 64
    bench.pass_time(10)
    bench.archive.put(image)
    bench.work()
    bench.archive.put(structured_report(str(image.SOPInstanceUID)))
    bench.confirm()
    assert len({answer for answer, _diagnosis, _way in bench.service.feedback}) == 2
