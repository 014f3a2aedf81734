"""The class activation map: which parts of an image support a diagnosis, and how much.

Grad-CAM (Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
Localization", ICCV 2017): for class k, the channels of the last feature map A are weighted by
alpha_kc, the mean over the cells of the gradient of k's logit, summed, and clipped at zero.

The gradient is written as forward operations, so serving needs no gradient and any engine can run
it. Through a dense layer it is a product with the kernel; through ReLU it passes where the output
is above zero; average pooling spreads it evenly over the h * w cells.

Unit: logits, before temperature. With average pooling, the value of a cell before clipping is its
contribution to the logit to first order; the sum over all cells is the logit without the part of
the biases. Maps can therefore be compared between classes and images, and are not normalised.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
from keras import ops

from lentigo_trainer.errors import TrainingError
from lentigo_trainer.models.classifier import feature_extractor


@dataclass(frozen=True, slots=True)
class Explained:
    """A network that also outputs what its activation map is computed from.

    Attributes:
        model: images [n, 224, 224, 3] in 0..255 -> [feature map [n, h, w, c], the output of each
            dense layer in order, the last being the logits [n, 7], and the further layers that were
            requested]; shares all weights with the original network.
        dense: the dense layers between feature map and logits.
        pooled: whether the feature map is averaged over its cells, rather than flattened.
    """

    model: keras.Model
    dense: tuple[keras.layers.Dense, ...]
    pooled: bool


def explain(whole: keras.Model, feature_map: str, extra: Sequence[str] = ()) -> Explained:
    """Make a network's last feature map and dense layers outputs beside its logits.

    Args:
        whole: a functional model, images to logits.
        feature_map: the layer whose output is the last feature map; it may be followed by one
            average pooling or flattening, and dense layers with ReLU or no activation.
        extra: further layers to output.

    Raises:
        TrainingError: the head has a layer whose gradient is not implemented here.
    """
    names = [layer.name for layer in whole.layers]
    head = whole.layers[names.index(feature_map) + 1 :]
    dense = tuple(layer for layer in head if isinstance(layer, keras.layers.Dense))
    _require_known_gradient(head, dense)
    model = feature_extractor(whole, [feature_map, *(layer.name for layer in dense), *extra])
    pooled = any(isinstance(layer, keras.layers.GlobalAveragePooling2D) for layer in head)
    return Explained(model, dense, pooled)


def class_activation(
    features: keras.KerasTensor,
    hidden: Sequence[keras.KerasTensor],
    explained: Explained,
) -> keras.KerasTensor:
    """Compute the maps of all classes at once.

    Args:
        features: the feature map, float32 [n, h, w, c].
        hidden: the outputs of all dense layers but the last, [n, units] each.
        explained: the network that computed them.

    Returns:
        float32 [n, h, w, 7], in logits, 0 and above.
    """
    _, height, width, channels = features.shape
    cells = height * width
    # [n, 7, units], from the logits down; the first one is the same for every image.
    gradient = ops.expand_dims(ops.transpose(explained.dense[-1].kernel), 0)
    for layer, output in zip(reversed(explained.dense[:-1]), reversed(hidden), strict=True):
        if layer.activation is keras.activations.relu:
            gradient = gradient * ops.cast(ops.expand_dims(output > 0, 1), "float32")
        gradient = ops.matmul(gradient, ops.transpose(layer.kernel))
    if explained.pooled:
        alpha = gradient / cells
    else:
        classes = gradient.shape[1]
        alpha = ops.mean(ops.reshape(gradient, (-1, classes, cells, channels)), axis=2)
    flat = ops.reshape(features, (-1, cells, channels))
    maps = ops.relu(ops.matmul(flat, ops.transpose(alpha, (0, 2, 1))))
    return ops.reshape(maps, (-1, height, width, maps.shape[-1]))


def _require_known_gradient(
    head: Sequence[keras.Layer], dense: Sequence[keras.layers.Dense]
) -> None:
    identity = (keras.layers.Dropout, keras.layers.Flatten)
    for position, layer in enumerate(head):
        known = (
            isinstance(layer, identity)
            or (position == 0 and isinstance(layer, keras.layers.GlobalAveragePooling2D))
            or (
                layer in dense
                and layer.activation in (keras.activations.relu, keras.activations.linear)
            )
        )
        if not known:
            raise TrainingError(
                f"The activation map cannot be computed through the layer {layer.name} "
                f"({type(layer).__name__}). Add it to lentigo_trainer.export.class_activation_map, "
                "or build the head from average pooling, flattening, dropout and dense layers with "
                "ReLU."
            )
    if not dense or dense[-1].activation is not keras.activations.linear:
        raise TrainingError("The network must end in a dense layer that returns logits.")
