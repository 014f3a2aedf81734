"""What the system tells of its processor."""

from pathlib import Path
from typing import Final

_CPU_INFO: Final = Path("/proc/cpuinfo")
_BFLOAT16: Final = {"avx512_bf16", "amx_bf16"}


def cpu_info() -> str:
    """Read what Linux tells of every core; empty on a system that has no such file."""
    try:
        return _CPU_INFO.read_text()
    except OSError:
        return ""


def name_of(told: str) -> str | None:
    """Find the maker's name of the first core in what `cpu_info` read."""
    return next(iter(_values(told, "model name")), None)


def multiplies_bfloat16(told: str) -> bool:
    """Say whether every core has x86 instructions that multiply in bfloat16."""
    flags = [set(value.split()) for value in _values(told, "flags")]
    return bool(flags) and all(each & _BFLOAT16 for each in flags)


def _values(told: str, key: str) -> list[str]:
    pairs = (line.partition(":") for line in told.splitlines())
    return [value.strip() for name, _, value in pairs if name.strip() == key]
