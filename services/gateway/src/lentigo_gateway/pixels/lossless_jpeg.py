"""JPEG Lossless (DICOM PS3.5, A.4.2) as a plugin of pydicom, by the libjpeg-turbo in Pillow.

pydicom knows two decoders of it: pylibjpeg-libjpeg, which is under the GPL, and GDCM, a library of
its own for this alone. libjpeg-turbo reads it since 3.0, and Pillow brings that along, for 8 bits a
sample, which is all that is read here.
"""

import functools
import io
import threading
from typing import Final

from PIL import Image, features
from pydicom.pixels.decoders.base import DecodeRunner, get_decoder

from lentigo_gateway.pixels.codestreams import is_lossless_jpeg

LOSSLESS_JPEG: Final = ("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70")
"""Transfer syntaxes: process 14 with any predictor, and with the first one."""

DECODER_DEPENDENCIES: Final = dict.fromkeys(LOSSLESS_JPEG, ("pillow>=13, with libjpeg-turbo>=3",))
"""What is lacking where the plugin is not available. For pydicom."""

_PLUGIN: Final = "lentigo"
_GUARD: Final = threading.Lock()


def register_lossless_jpeg() -> None:
    """Let pydicom decode JPEG Lossless; again does nothing. For several threads."""
    with _GUARD:
        _register()


@functools.cache
def _register() -> None:
    for uid in LOSSLESS_JPEG:
        get_decoder(uid).add_plugin(_PLUGIN, (__name__, decode_frame.__name__))


def is_available(uid: str) -> bool:
    """Return whether Pillow has a libjpeg-turbo that reads this. For pydicom."""
    version = features.version_feature("libjpeg_turbo")
    return uid in LOSSLESS_JPEG and version is not None and int(version.partition(".")[0]) >= 3


def decode_frame(frame: bytes, runner: DecodeRunner) -> bytes:
    """Return the samples of a frame, pixel by pixel, in the colours in which they are stored.

    Raises:
        ValueError: it is another kind of JPEG.
        OSError, SyntaxError: it is damaged, or has more than 8 bits a sample.
    """
    if not is_lossless_jpeg(frame):
        raise ValueError("not a lossless JPEG")
    image = Image.open(io.BytesIO(frame), formats=["JPEG"])
    # libjpeg-turbo does not convert colours without loss. So it is asked for those that it takes
    # the samples for: YCbCr if a marker says so, and RGB otherwise.
    if "jfif" in image.info or image.info.get("adobe_transform", 0):
        image.draft("YCbCr", image.size)
    runner.set_option("planar_configuration", 0)
    return image.tobytes()
