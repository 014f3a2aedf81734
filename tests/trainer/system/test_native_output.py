import os
import subprocess
import sys

import pytest

from lentigo_trainer.system.native_output import held_back


def test_native_output_is_hidden(capfd: pytest.CaptureFixture[str]) -> None:
    with held_back():
        os.write(2, b"announcement\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


def test_native_output_is_shown_when_the_block_fails(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        os.write(2, b"the reason\n")
        raise ImportError

    with pytest.raises(ImportError), held_back():
        fail()
    assert capfd.readouterr().err == "the reason\n"


def test_earlier_output_keeps_its_place(capfd: pytest.CaptureFixture[str]) -> None:
    sys.stderr.write("before, ")
    with held_back():
        os.write(2, b"announcement\n")
    sys.stderr.write("after")
    sys.stderr.flush()
    assert capfd.readouterr().err == "before, after"


_SEVERAL_NETWORKS = """
from lentigo_trainer.system.native_output import quiet_tensorflow

with quiet_tensorflow():
    import tensorflow as tf

add = lambda number: number + 1
for _ in range(20):
    tf.function(add)(tf.constant(1.0))
"""


def test_graphs_of_several_networks_are_no_reason_to_warn() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _SEVERAL_NETWORKS], capture_output=True, text=True, check=True
    )
    assert ended.stderr == ""
