"""`lentigo-inference compare`: the agreement of two versions, from the records of a trail."""

from pathlib import Path
from typing import Any

import pytest

from lentigo_inference.audit.records import ModelInUse, Said, Served, shadow
from lentigo_inference.cli import main
from lentigo_inference.shadow.comparison import Agreement, compare
from tests.inference.audit.trails import Trail, made_trail

Captured = pytest.CaptureFixture[str]

IDS = [f"01a207f0-e73f-7934-8c89-b5f3df6ac7{number:02}" for number in range(6)]


@pytest.fixture
def trail(tmp_path: Path) -> Trail:
    return made_trail(tmp_path)


def said(
    answer: str,
    served: tuple[str | None, bool],
    shadowed: tuple[str | None, bool],
    version: int = 4,
) -> dict[str, Any]:
    diagnosis, refer = shadowed
    return shadow(
        Served(answer, "a" * 64, 3, *served),
        Said(diagnosis, {}, 0.1, 0.2, refer, [], []),
        ModelInUse("lentigo", version, "e" * 64, "litert", {}),
    )


def write(trail: Trail, *records: dict[str, Any]) -> None:
    writer = trail.writer()
    writer.write([trail.answer(), *records])
    writer.close()


# Wilson's interval by hand: (p + z²/2n ± z·sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n).
@pytest.mark.parametrize(
    ("images", "same", "low", "high"),
    [(10, 10, 0.7225, 1.0), (10, 0, 0.0, 0.2775), (100, 50, 0.4038, 0.5962), (1, 1, 0.2065, 1.0)],
)
def test_the_interval_is_wilsons(images: int, same: int, low: float, high: float) -> None:
    assert Agreement(images, same).interval == pytest.approx((low, high), abs=5e-5)


def test_agreement_is_counted_by_the_diagnosis_of_the_version_in_use(trail: Trail) -> None:
    write(
        trail,
        said(IDS[0], ("nv", False), ("nv", False)),
        said(IDS[1], ("nv", False), ("mel", True)),
        said(IDS[2], ("mel", True), ("mel", True)),
        said(IDS[3], ("mel", True), ("mel", False)),
        said(IDS[4], (None, True), ("nv", False)),
    )
    (found,) = compare(trail.folder)
    assert (found.served, found.shadow, found.total) == (3, 4, 5)
    assert found.classes == ("mel", "nv", "none")
    assert found.on_diagnosis() == Agreement(5, 3)
    assert found.on_referral() == Agreement(5, 2)
    assert found.on_diagnosis("nv") == Agreement(2, 1)
    assert found.on_referral("mel") == Agreement(2, 1)
    assert found.changes == {("nv", "mel"): 1, ("none", "nv"): 1}
    assert [each.answer for each in found.differences] == [IDS[1], IDS[3], IDS[4]]


def test_pairs_of_versions_are_told_apart(trail: Trail) -> None:
    write(
        trail,
        said(IDS[0], ("nv", False), ("nv", False), version=4),
        said(IDS[1], ("nv", False), ("nv", False), version=5),
    )
    assert sorted(each.shadow for each in compare(trail.folder)) == [4, 5]
    assert [each.shadow for each in compare(trail.folder, shadow=5)] == [5]


def test_the_command_prints_agreement_and_every_answer_that_differs(
    trail: Trail, capsys: Captured
) -> None:
    write(
        trail,
        said(IDS[0], ("nv", False), ("nv", False)),
        said(IDS[1], ("nv", False), ("mel", True)),
    )
    assert main(["compare", str(trail.folder)]) == 0
    out = capsys.readouterr().out
    for told in (
        "Version 4 in the shadow of version 3: 2 images",
        "all                    2   50.0 % (9.5 to 90.5)        50.0 % (9.5 to 90.5)",
        "Refer: both 0, neither 1, only version 3 0, only version 4 1",
        "nv -> mel: 1",
        f"{IDS[1]}  2025-11-30T12:00:00.000Z  nv -> mel  refer no -> yes",
        "Research use only. Not a medical device.",
    ):
        assert told in out
    assert IDS[0] not in out


@pytest.mark.parametrize("arguments", [[], ["--shadow", "9"]])
def test_a_trail_without_a_shadow_is_one_line(
    trail: Trail, capsys: Captured, arguments: list[str]
) -> None:
    write(trail)
    assert main(["compare", str(trail.folder), *arguments]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "LENTIGO_SHADOW_VERSION" in line


def test_a_folder_that_is_missing_is_one_line(tmp_path: Path, capsys: Captured) -> None:
    assert main(["compare", str(tmp_path / "missing")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot be read" in line


def test_a_record_that_was_edited_is_one_line(trail: Trail, capsys: Captured) -> None:
    write(trail, said(IDS[0], ("nv", False), ("nv", False)))
    trail.tamper(lambda lines: lines.__setitem__(2, lines[2].replace(b'"served"', b'"saved"')))
    assert main(["compare", str(trail.folder)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "`audit verify` says" in line


def test_records_of_a_shadow_are_verified_shown_and_exported(
    trail: Trail, capsys: Captured
) -> None:
    answered = trail.answer()
    writer = trail.writer()
    writer.write([answered, said(answered["id"], ("nv", False), ("mel", True))])
    writer.close()
    assert trail.found() == []
    assert main(["audit", "show", answered["id"], "--dir", str(trail.folder)]) == 0
    assert "In the shadow version 4: mel, refer yes" in capsys.readouterr().out
    assert main(["audit", "export", "--dir", str(trail.folder), "--format", "shadow"]) == 0
    header, row = capsys.readouterr().out.splitlines()
    table = dict(zip(header.split(","), row.split(","), strict=True))
    assert (table["answer"], table["served_diagnosis"]) == (answered["id"], "nv")
    assert (table["version"], table["diagnosis"], table["refer"]) == ("4", "mel", "True")
    trail.tamper(lambda lines: lines.__setitem__(2, lines[2].replace(b'"mel"', b'"nvv"')))
    assert trail.found() == [("edited", 3)]
