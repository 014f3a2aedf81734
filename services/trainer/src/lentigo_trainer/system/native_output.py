"""Hide what compiled libraries write to standard error by themselves."""

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_STANDARD_ERROR: Final = 2


@contextmanager
def quiet_tensorflow() -> Iterator[None]:
    """Import TensorFlow and Keras within this block without their announcements.

    From then on TensorFlow logs errors only. It takes the graphs of several networks, of the same
    code, for one that is traced too often, and would say so in the middle of a run.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    os.environ["KERAS_BACKEND"] = "tensorflow"
    with held_back():
        yield


@contextmanager
def held_back() -> Iterator[None]:
    """Hide what is written to standard error within the block; show it if the block fails.

    TensorFlow and LiteRT announce processor features while they load, before any of their settings
    takes effect and not through `sys.stderr`, so this redirects the file descriptor itself. Use it
    only for a short block in which nothing of ours is written.
    """
    sys.stderr.flush()
    screen = os.dup(_STANDARD_ERROR)
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), _STANDARD_ERROR)
        try:
            yield
        except BaseException:
            sys.stderr.flush()
            kept.seek(0)
            os.write(screen, kept.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(screen, _STANDARD_ERROR)
            os.close(screen)
