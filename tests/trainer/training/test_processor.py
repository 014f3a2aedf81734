from pathlib import Path

import pytest

from lentigo_trainer.training.precision import cpu_info, multiplies_bfloat16, processor_name

CORE = "processor\t: 0\nmodel name\t: Made Up 9000 @ 2.50GHz\nflags\t\t: fpu sse2 {}\n\n"
AMD = CORE.format("avx512f avx512_bf16")
XEON = CORE.format("avx512f avx512_vnni")
SAPPHIRE = CORE.format("avx512f amx_bf16 amx_tile")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (AMD, True),
        (SAPPHIRE + SAPPHIRE, True),
        (XEON, False),
        (AMD + XEON, False),
        (CORE.format("not_avx512_bf16"), False),
        ("processor\t: 0\nFeatures\t: fp asimd bf16\n", False),
        ("", False),
    ],
)
def test_bfloat16_is_found_among_the_flags_of_every_core(text: str, expected: bool) -> None:
    assert multiplies_bfloat16(text) is expected


def test_the_processor_name_is_that_of_the_first_core() -> None:
    assert processor_name(AMD + XEON) == "Made Up 9000 @ 2.50GHz"
    assert processor_name("") is None


def test_cpu_info_is_empty_without_proc_cpuinfo(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("lentigo_trainer.training.precision._CPU_INFO", tmp_path / "absent")
    assert cpu_info() == ""
