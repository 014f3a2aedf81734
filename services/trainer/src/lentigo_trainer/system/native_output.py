"""What compiled libraries write to standard error on their own, kept from the user's screen."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_STANDARD_ERROR: Final = 2


@contextmanager
def quiet_tensorflow() -> Iterator[None]:
    """Import TensorFlow and Keras without their announcements."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    with held_back():
        yield


@contextmanager
def held_back() -> Iterator[None]:
    """Hold back what reaches standard error; if the block fails, all of it is shown.

    TensorFlow and LiteRT announce processor features while they load, before any setting of theirs
    takes effect, and not through `sys.stderr`; so this is done to the descriptor itself. Only
    for a short block in which nothing of ours is written.
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
