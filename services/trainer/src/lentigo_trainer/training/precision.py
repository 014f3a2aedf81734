"""Arithmetic in bfloat16 where the processor is faster at it, and in float32 everywhere else.

`in_bfloat16` switches TensorFlow for a block of code; the functions below it read from
`/proc/cpuinfo` what the processor can do.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final, Literal

import keras
import tensorflow as tf

_REWRITE: Final = "auto_mixed_precision_onednn_bfloat16"

_CPU_INFO: Final = Path("/proc/cpuinfo")

_BFLOAT16: Final = {"avx512_bf16", "amx_bf16"}


def make_reproducible(seed: int) -> None:
    """Let two runs with one seed end with the same weights and layer names, bit by bit."""
    # Layer names count up over a process, whatever it built before.
    keras.utils.clear_session()
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(seed)


@contextmanager
def in_bfloat16(wanted: bool) -> Iterator[None]:
    """Let TensorFlow compile to bfloat16 within this block, except for weights and sums.

    On two cores with AVX-512 BF16 this makes MobileNet train 1.4 times as fast, and a network of
    plain convolutions about twice as fast. On a processor without such instructions everything
    stays in float32. The option is global, so it is switched off at the end: an exported model must
    not be rounded.
    """
    if arithmetic(wanted) == "float32":
        yield
        return
    tf.config.optimizer.set_experimental_options({_REWRITE: True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({_REWRITE: False})


def arithmetic(allowed: bool) -> Literal["float32", "bfloat16"]:
    """Name the arithmetic in which `in_bfloat16(allowed)` computes on this machine."""
    return "bfloat16" if allowed and bfloat16_is_faster() else "float32"


@cache
def bfloat16_is_faster() -> bool:
    """Check whether this machine's processor multiplies in bfloat16.

    Without such instructions bfloat16 is emulated: on an Intel Xeon with plain AVX-512, VGG16 and
    the CNN took three to four times as long as in float32.
    """
    return multiplies_bfloat16(cpu_info())


def cpu_info() -> str:
    """Return what Linux reports about every core; empty on systems without /proc/cpuinfo."""
    try:
        return _CPU_INFO.read_text()
    except OSError:
        return ""


def processor_name(cpu_info: str) -> str | None:
    """Return the model name of the first core in the text of `cpu_info`, if there is one."""
    return next(iter(_values(cpu_info, "model name")), None)


def multiplies_bfloat16(cpu_info: str) -> bool:
    """Check whether every core has x86 instructions that multiply in bfloat16."""
    flags = [set(value.split()) for value in _values(cpu_info, "flags")]
    return bool(flags) and all(each & _BFLOAT16 for each in flags)


def _values(cpu_info: str, key: str) -> list[str]:
    pairs = (line.partition(":") for line in cpu_info.splitlines())
    return [value.strip() for name, _, value in pairs if name.strip() == key]
