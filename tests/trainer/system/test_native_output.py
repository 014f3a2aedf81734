import os
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
