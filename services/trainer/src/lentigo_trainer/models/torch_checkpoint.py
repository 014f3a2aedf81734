"""Tensors from a PyTorch checkpoint, without PyTorch and without running what is in the file.

A checkpoint of before PyTorch 1.6 is five pickles (a magic number, the protocol, the sizes of
types, the tensors by name, the keys of their storages) and then the storages themselves, each a
count of 8 bytes and its values. A pickle can call any function, so this reader allows only the few
names that a dictionary of tensors needs.
"""

import hashlib
import io
import pickle
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lentigo_trainer.errors import WeightsError

Tensors = Mapping[str, npt.NDArray[np.float32]]

MAX_BYTES: Final = 64 * 2**20
"""The largest published checkpoint that we know has 25 MB."""

_MAGIC: Final = 0x1950A86A20F9469CFC6C
_PROTOCOL: Final = 1001

_TYPES: Final[dict[str, np.dtype[Any]]] = {
    "FloatStorage": np.dtype("<f4"),
    "LongStorage": np.dtype("<i8"),
}


@dataclass(frozen=True, slots=True)
class _Placed:
    """A tensor whose values come later in the file."""

    storage: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_tensors(file: Path, sha256: str) -> Tensors:
    """Read the float32 tensors of a checkpoint, by name.

    Args:
        file: the checkpoint.
        sha256: of the file, in hexadecimal digits.

    Raises:
        WeightsError: the file cannot be read, has another digest, or is not a checkpoint of
            tensors.
    """
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise WeightsError(f"{file} cannot be read ({error.strerror or error}).") from error
    digest = hashlib.sha256(data).hexdigest()
    if digest != sha256:
        raise WeightsError(
            f"{file} has the SHA-256 {digest}; the published file has {sha256}. Download it again."
        )
    return parse_tensors(data, str(file))


def parse_tensors(data: bytes, name: str) -> Tensors:
    """Read the float32 tensors in the bytes of a checkpoint; `name` is for messages.

    Raises:
        WeightsError: it is not a checkpoint that holds tensors alone.
    """
    stream = io.BytesIO(data)
    try:
        magic, protocol, _sizes, placed, keys = (_Reader(stream).load() for _ in range(5))
        if (magic, protocol) != (_MAGIC, _PROTOCOL):
            raise WeightsError(f"{name} is not a PyTorch checkpoint of before version 1.6.")
        storages = {
            key: _read_storage(stream, _TYPES[kind]) for key, kind in _kinds(placed, keys).items()
        }
        return {
            tensor: _values(storages[at.storage.partition(":")[2]], at)
            for tensor, at in placed.items()
            if at.storage.startswith("FloatStorage:")
        }
    except WeightsError:
        raise
    # A damaged pickle can raise nearly anything.
    except Exception as error:
        raise WeightsError(f"{name} is not a checkpoint of tensors: {error}") from error


def _kinds(placed: Mapping[str, _Placed], keys: list[str]) -> dict[str, str]:
    """Return the type of each storage, in the order in which they follow."""
    kinds = {}
    for tensor in placed.values():
        kind, _, key = tensor.storage.partition(":")
        kinds[key] = kind
    return {key: kinds[key] for key in keys}


def _read_storage(stream: io.BytesIO, dtype: np.dtype[Any]) -> npt.NDArray[np.generic]:
    count = int.from_bytes(stream.read(8), "little")
    data = stream.read(count * dtype.itemsize)
    return np.frombuffer(data, dtype, count)


def _values(storage: npt.NDArray[np.generic], placed: _Placed) -> npt.NDArray[np.float32]:
    if any(stride < 0 for stride in placed.strides) or any(size < 0 for size in placed.shape):
        raise ValueError("a tensor has a negative size or stride")
    last = placed.offset + sum(
        (size - 1) * stride for size, stride in zip(placed.shape, placed.strides, strict=True)
    )
    if not 0 <= placed.offset <= last < storage.size:
        raise ValueError("a tensor reaches beyond its storage")
    view = np.lib.stride_tricks.as_strided(
        storage[placed.offset :],
        placed.shape,
        [stride * storage.itemsize for stride in placed.strides],
    )
    return np.array(view, np.float32, order="C")


class _Reader(pickle.Unpickler):
    """Unpickles dictionaries of tensors, and refuses every other name."""

    _ALLOWED: Final[dict[tuple[str, str], Callable[..., object]]] = {
        ("collections", "OrderedDict"): OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): lambda storage, offset, shape, strides, *_: _Placed(
            storage, offset, tuple(shape), tuple(strides)
        ),
    }

    def find_class(self, module: str, name: str) -> object:
        """Return one of the allowed names."""
        if module == "torch" and name in _TYPES:
            return name
        try:
            return self._ALLOWED[module, name]
        except KeyError:
            raise WeightsError(
                f"The checkpoint wants to run {module}.{name}, and tensors do not need that. "
                "Do not use this file."
            ) from None

    def persistent_load(self, pid: object) -> str:
        """Return a storage's type and key."""
        _, kind, key, *_ = pid if isinstance(pid, tuple) else ("", "", "")
        if kind not in _TYPES:
            raise WeightsError(f"The checkpoint has values of the type {kind}.")
        return f"{kind}:{key}"
