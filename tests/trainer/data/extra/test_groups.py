import pytest

from lentigo_trainer.data.extra.groups import KEPT_OUT_SHARE, group_names, is_kept_out
from lentigo_trainer.data.extra.metadata import MetadataRow


def row(image: str, **known: str) -> MetadataRow:
    return MetadataRow(image=image, words=("nv",), **known)


def test_a_group_is_named_by_the_patient_else_the_lesion_else_the_image() -> None:
    rows = [
        row("a", lesion="L1", patient="P1"),
        row("b", lesion="L1"),
        row("c", lesion="L2"),
        row("d"),
        row("e", group="g9", lesion="L3"),
    ]
    found = group_names(rows)
    assert found == {"a": "P1", "b": "P1", "c": "L2", "d": "d", "e": "g9"}


def test_images_of_a_lesion_of_a_patient_of_a_lesion_are_one_group() -> None:
    rows = [row("a", lesion="L1", patient="P1"), row("b", lesion="L2", patient="P1")]
    rows.append(row("c", lesion="L2"))
    assert set(group_names(rows).values()) == {"P1"}


def test_images_with_the_same_picture_are_one_group() -> None:
    rows = [row("a", lesion="L1"), row("b", lesion="L2"), row("c", lesion="L2")]
    assert set(group_names(rows, [("a", "b")]).values()) == {"L1"}


def test_the_names_do_not_depend_on_the_order_of_the_rows() -> None:
    rows = [row("a", lesion="L1", patient="P2"), row("b", lesion="L1", patient="P1"), row("c")]
    assert group_names(rows) == group_names(rows[::-1])


def test_the_draw_never_changes() -> None:
    # These groups are kept out for good: a change here would train on what was tested on.
    kept = [number for number in range(20) if is_kept_out(f"g{number}", 0.3)]
    assert kept == [0, 4, 5, 7, 8, 13, 14, 17, 18]


def test_the_share_is_kept_and_a_larger_one_only_adds_groups() -> None:
    names = [f"lesion {number}" for number in range(2_000)]
    small = {name for name in names if is_kept_out(name, KEPT_OUT_SHARE)}
    large = {name for name in names if is_kept_out(name, 0.5)}
    assert len(small) / len(names) == pytest.approx(KEPT_OUT_SHARE, abs=0.03)
    assert small < large
    assert not any(is_kept_out(name, 0.0) for name in names)
