"""Checkpoints as PyTorch wrote them before version 1.6, written without PyTorch."""

import io
import pickle
import struct
import sys
from collections import OrderedDict
from collections.abc import Mapping
from types import ModuleType

import numpy as np
import numpy.typing as npt


class _Storage:
    def __init__(self, kind: str, key: str, values: npt.NDArray[np.generic]) -> None:
        self.kind = kind
        self.key = key
        self.values = values


class _Tensor:
    def __init__(self, storage: _Storage, shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
        self._parts = (storage, 0, shape, strides)

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        storage, offset, shape, strides = self._parts
        rebuild = vars(sys.modules["torch._utils"])["_rebuild_tensor_v2"]
        return rebuild, (storage, offset, shape, strides, False, OrderedDict())


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj: object) -> object:
        if not isinstance(obj, _Storage):
            return None
        kind = getattr(sys.modules["torch"], obj.kind)
        return ("storage", kind, obj.key, "cpu", obj.values.size, None)


def checkpoint(
    tensors: Mapping[str, npt.NDArray[np.generic]],
    magic: int = 0x1950A86A20F9469CFC6C,
    protocol: int = 1001,
) -> bytes:
    """Return the bytes of a checkpoint with some float32 or int64 tensors."""
    stream = io.BytesIO()
    storages = []
    placed = OrderedDict()
    for number, (name, tensor) in enumerate(tensors.items()):
        kind = {"float32": "FloatStorage", "int64": "LongStorage", "float64": "DoubleStorage"}[
            tensor.dtype.name
        ]
        # Values may lie in another order than the tensor's: the strides say so.
        flat = np.array(tensor.T, order="C")
        strides = tuple(stride // tensor.itemsize for stride in flat.T.strides)
        storages.append(_Storage(kind, str(number), flat.ravel()))
        placed[name] = _Tensor(storages[-1], tensor.shape, strides)
    with _torch():
        for content in (magic, protocol, {"little_endian": True}, placed):
            _Pickler(stream, 2).dump(content)
    pickle.dump([storage.key for storage in storages], stream, 2)
    for storage in storages:
        stream.write(struct.pack("<q", storage.values.size) + storage.values.tobytes())
    return stream.getvalue()


class _torch:  # noqa: N801 - stands for the package
    """Put modules with PyTorch's names in place while a pickle that names them is written."""

    def __enter__(self) -> None:
        torch, utils = ModuleType("torch"), ModuleType("torch._utils")
        for name in ("FloatStorage", "LongStorage", "DoubleStorage"):
            setattr(torch, name, type(name, (), {"__module__": "torch"}))

        def _rebuild_tensor_v2() -> None: ...

        _rebuild_tensor_v2.__module__ = "torch._utils"
        _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
        setattr(utils, "_rebuild_tensor_v2", _rebuild_tensor_v2)  # noqa: B010 - not its own
        self._before = {name: sys.modules.get(name) for name in ("torch", "torch._utils")}
        sys.modules |= {"torch": torch, "torch._utils": utils}

    def __exit__(self, *_: object) -> None:
        for name, module in self._before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
