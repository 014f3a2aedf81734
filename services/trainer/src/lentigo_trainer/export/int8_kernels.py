"""Hold kernels of a LiteRT model in int8; their inputs are rounded while the model runs.

This is what LiteRT calls dynamic range quantisation. A kernel has a scale for each channel. Each
image gives its own scale to what enters a convolution, and what leaves it is float32 again. So no
ranges are set beforehand, which cost more agreement with the float32 network than the kernels do:
docs/decisions/0050-dynamic-int8.md. The converter can do it for all layers or none; here some stay
in float32, so the file is edited by TensorFlow's own schema.
"""

import re
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

from lentigo_trainer.export.gptq import LEVELS

_KERNEL: Final = 1
"""The place of the kernel among a convolution's inputs."""


def with_int8_kernels(model: bytes, in_float: Sequence[str]) -> bytes:
    """Round the kernels of a LiteRT model's convolutions, except depthwise ones, to int8.

    Args:
        model: a LiteRT file in float32.
        in_float: names of the layers that stay as they are.

    Returns:
        A file with the same signature. A kernel whose values int8 holds exactly keeps them.
    """
    edited = flatbuffer_utils.convert_bytearray_to_object(bytearray(model))
    # The converter joins the names of the layers that became one operation, and may number them.
    kept = re.compile("|".join(rf"/{re.escape(name)}(_\d+)?/" for name in in_float) or r"(?!)")
    for graph in edited.subgraphs:
        for operation in graph.operators:
            if _code(edited, operation) != schema.BuiltinOperator.CONV_2D:
                continue
            if kept.search(graph.tensors[operation.outputs[0]].name.decode()):
                continue
            _round(edited, graph.tensors[operation.inputs[_KERNEL]])
    return bytes(flatbuffer_utils.convert_object_to_bytearray(edited))


def _code(model: schema.ModelT, operation: schema.OperatorT) -> int:
    code: int = model.operatorCodes[operation.opcodeIndex].builtinCode
    return code


def _round(model: schema.ModelT, kernel: schema.TensorT) -> None:
    """Round one kernel, float32 [outputs, h, w, inputs], in place."""
    if kernel.type != schema.TensorType.FLOAT32:
        return
    buffer = model.buffers[kernel.buffer]
    values: npt.NDArray[np.float32] = np.frombuffer(bytes(buffer.data), dtype=np.float32).reshape(
        kernel.shape
    )
    largest = np.abs(values).max(axis=(1, 2, 3))
    scales = np.maximum(largest / np.float32(LEVELS), np.finfo(np.float32).tiny)
    rounded = np.clip(np.round(values / scales[:, None, None, None]), -LEVELS, LEVELS)
    buffer.data = rounded.astype(np.int8).ravel().view(np.uint8)
    kernel.type = schema.TensorType.INT8
    kernel.quantization = schema.QuantizationParametersT()
    kernel.quantization.scale = scales.astype(np.float32)
    kernel.quantization.zeroPoint = np.zeros(len(scales), np.int64)
    kernel.quantization.quantizedDimension = 0
