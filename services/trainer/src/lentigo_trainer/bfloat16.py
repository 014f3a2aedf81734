"""Arithmetic in bfloat16 where training spends its time, and in float32 before and after."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Final

import tensorflow as tf

from lentigo_trainer.processor import cpu_info, multiplies_bfloat16

_REWRITE: Final = "auto_mixed_precision_onednn_bfloat16"


@cache
def bfloat16_pays() -> bool:
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
    if not (wanted and bfloat16_pays()):
        yield
        return
    tf.config.optimizer.set_experimental_options({_REWRITE: True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({_REWRITE: False})
