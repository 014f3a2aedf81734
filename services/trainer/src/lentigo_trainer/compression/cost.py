"""What a network costs: its multiplications, its file, and the file compressed."""

import gzip
import math

import keras

from lentigo_trainer.models.graph import steps_of


def multiplications(whole: keras.Model) -> int:
    """Count the multiplications for one image, those with weights that are 0 included.

    Convolutions and dense layers are counted, as is usual ("MACs", multiply-accumulates); batch
    normalisation is folded into them when a network runs.

    Args:
        whole: images [n, h, w, 3] -> logits [n, 7].
    """
    total = 0
    for step in steps_of(whole):
        layer = step.layer
        if isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D):
            _, height, width, channels = layer.output.shape
            depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
            inputs = 1 if depthwise else layer.input.shape[-1] // layer.groups
            total += height * width * channels * math.prod(layer.kernel_size) * inputs
        elif isinstance(layer, keras.layers.Dense):
            total += layer.input.shape[-1] * layer.units
    return int(total)


def compressed_bytes(content: bytes) -> int:
    """Return the size after gzip at its strongest, as a file is sent or stored."""
    return len(gzip.compress(content, compresslevel=9, mtime=0))
