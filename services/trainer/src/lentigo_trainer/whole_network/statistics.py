"""The normalisations' means and variances, measured anew.

The mean of several networks' weights is a network that nobody has run yet: what its layers give is
not the mean of what theirs gave. So its normalisations are told anew what they see (Izmailov et
al., "Averaging Weights Leads to Wider Optima and Better Generalization", UAI 2018, section 3.2).
"""

from collections.abc import Iterable

import keras
import tensorflow as tf

from lentigo_trainer.progress import Step
from lentigo_trainer.whole_network.weight_average import WeightAverage, of_all_alike


def measure_anew(network: keras.Model, batches: Iterable[tf.Tensor], step: Step) -> None:
    """Give every normalisation the mean, over some batches, of their means and variances.

    Args:
        network: changed in place, in nothing else.
        batches: float32 [n, h, w, 3] each, as the network sees them while it learns.
        step: told how many rows are done.
    """
    layers = [
        layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)
    ]
    followed = [layer.momentum for layer in layers]
    statistics = WeightAverage(
        [weight for layer in layers for weight in layer.non_trainable_variables], of_all_alike
    )
    for layer in layers:
        # What a batch has takes the place of what was known.
        layer.momentum = 0.0
    look = tf.function(lambda pictures: network(pictures, training=True))
    try:
        for pictures in batches:
            look(pictures)
            statistics.follow()
            step.advance(len(pictures))
    finally:
        for layer, momentum in zip(layers, followed, strict=True):
            layer.momentum = momentum
    statistics.use()
