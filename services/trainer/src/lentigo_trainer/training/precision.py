"""Arithmetic in bfloat16 where training spends its time, and in float32 before and after.

What the system tells of its processor.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final

import tensorflow as tf

_CPU_INFO: Final = Path("/proc/cpuinfo")
_BFLOAT16: Final = {"avx512_bf16", "amx_bf16"}


def cpu_info() -> str:
    """Read what Linux tells of every core; empty on a system that has no such file."""
    try:
        return _CPU_INFO.read_text()
    except OSError:
        return ""


def processor_name(told: str) -> str | None:
    """Find the maker's name of the first core in what `cpu_info` read."""
    return next(iter(_values(told, "model name")), None)


def multiplies_bfloat16(told: str) -> bool:
    """Say whether every core has x86 instructions that multiply in bfloat16."""
    flags = [set(value.split()) for value in _values(told, "flags")]
    return bool(flags) and all(each & _BFLOAT16 for each in flags)


def _values(told: str, key: str) -> list[str]:
    pairs = (line.partition(":") for line in told.splitlines())
    return [value.strip() for name, _, value in pairs if name.strip() == key]


_REWRITE: Final = "auto_mixed_precision_onednn_bfloat16"


@cache
def bfloat16_is_faster() -> bool:
    """Say whether this machine's processor multiplies in bfloat16.

    Without such instructions it is imitated: on an Intel Xeon with plain AVX-512 VGG16 and the CNN
    took three to four times as long as in float32.
    """
    return multiplies_bfloat16(cpu_info())


@contextmanager
def in_bfloat16(wanted: bool) -> Iterator[None]:
    """Let TensorFlow rewrite what it compiles in here to bfloat16, weights and sums excepted.

    On two cores with AVX-512 BF16 MobileNet learns 1.4 times as fast by it, a network of plain
    convolutions about twice as fast; where it does not pay, all stays in float32. The option is
    global, so it is taken back: what is exported must not be rounded.
    """
    if not (wanted and bfloat16_is_faster()):
        yield
        return
    tf.config.optimizer.set_experimental_options({_REWRITE: True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({_REWRITE: False})
