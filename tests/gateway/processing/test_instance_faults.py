"""Instances that go wrong: each is refused once, with a reason that names no patient."""

from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.fakes import lesion_image
from tests.gateway.bench import Bench, failing_results
from tests.gateway.dicom import dermoscopic, file_of, uncompressed
from tests.gateway.processing.faults import assert_no_patient_in

HOSTILE_NAME = "Roe^Richarda\r\n\x1b[31mFAKE LINE\x00"


GREY = np.asarray(lesion_image(1).convert("L"))
BAD = {
    "not DICOM": (dermoscopic(1), b"<html>not DICOM</html>", "not DICOM"),
    "no pixels": (dermoscopic(1, PixelData=None), None, "no pixels"),
    "12-bit grey": (
        uncompressed(
            GREY,
            "MONOCHROME2",
            BitsAllocated=16,
            BitsStored=12,
            HighBit=11,
            PixelData=GREY.astype("<u2").tobytes(),
        ),
        None,
        "12 bits",
    ),
    "1,000 frames": (dermoscopic(1, NumberOfFrames=1_000), None, "1,000 frames"),
    "huge": (dermoscopic(1, Rows=60_000, Columns=60_000), None, "3,600,000,000 pixels"),
    "cut off": (
        uncompressed(np.asarray(lesion_image(1)), PixelData=b"\x00" * 1_000),
        None,
        "cut off",
    ),
    "a file that is cut off": (dermoscopic(1), file_of(dermoscopic(1))[:500], "not DICOM"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_instance_is_refused_once_with_a_reason(bench: Bench, name: str) -> None:
    image, data, told = BAD[name]
    # A source has seen its header.
    orthanc = bench.archive.put(image)
    bench.source.look()
    if data is not None:
        bench.archive.instances[str(image.SOPInstanceUID)] = data
    bench.finish_due()
    bench.pass_time(10)
    assert bench.states() == {"refused": 1}
    assert told in bench.entry.reason
    (line,) = bench.events("instance")
    assert (line["outcome"], line["level"]) == ("refused", "warning")
    assert bench.service.images == []
    assert orthanc
    assert_no_patient_in(bench)


def test_an_instance_without_a_preamble_is_answered(bench: Bench) -> None:
    image = dermoscopic(1)
    bench.archive.put(image, file_of(image)[132:])
    bench.work()
    assert bench.states() == {"done": 1}


def test_an_instance_of_500_mb_is_refused_before_it_is_read(bench: Bench) -> None:
    bench.archive.put(dermoscopic(1))
    bench.source.look()
    bench.archive.faults = [
        httpx.Response(200, content=b"", headers={"Content-Length": str(500 * 10**6)})
    ]
    bench.finish_due()
    assert bench.states() == {"refused": 1}
    assert "more than" in bench.entry.reason


@pytest.mark.filterwarnings("ignore:Found unknown escape sequence")
def test_a_name_with_control_characters_harms_nobody(bench: Bench) -> None:
    bench.archive.put(dermoscopic(1, PatientName=HOSTILE_NAME, StudyDescription=HOSTILE_NAME))
    bench.work()
    assert bench.states() == {"done": 1}
    assert_no_patient_in(bench)


def test_private_attributes_with_scripts_go_nowhere(bench: Bench) -> None:
    image = dermoscopic(1)
    block = image.private_block(0x0009, "MADE BY CODE", create=True)
    block.add_new(0x01, "LT", "<script>alert(1)</script>")
    bench.archive.put(image)
    bench.work()
    assert bench.states() == {"done": 1}
    assert all(b"<script>" not in file_of(each) for each in bench.archive.stored)


def test_an_instance_that_no_result_can_be_made_of_is_refused(tmp_path: Path) -> None:
    bench = Bench(tmp_path, make_results=failing_results)
    bench.archive.put(dermoscopic(1))
    bench.work()
    assert bench.states() == {"refused": 1}
    assert_no_patient_in(bench)
