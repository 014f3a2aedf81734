"""Compare the speed of LiteRT and of the fused batch normalisation with plain Keras, in one run.

    python benchmarks/training_parts.py [--rounds 5]

Each round times both ways in turn, so a machine that slows down slows both. CPU seconds are shown
beside wall seconds, because a shared machine does not run a process all the time. Weights are
random, which does not change the time.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

from lentigo_trainer.models.classifier import FusedBatchNormalization, Network, build
from lentigo_trainer.models.registry import architecture
from lentigo_trainer.training.feature_extraction.frozen_backbone import BATCH, FrozenBackbone

ROWS = 256
STEP_ROWS = 32

Work = Callable[[], object]


def main() -> None:
    """Parse, time, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="timed rounds of each way")
    rounds = parser.parse_args().rounds
    network = build(architecture("mobilenet"), "random", seed=0)
    compare(
        "backbone, forward", "TensorFlow", keras_backbone(network), "LiteRT", lite(network), rounds
    )
    fused = network.head
    plain = keras.models.clone_model(fused, clone_function=plain_layer)
    compare("head, a step", "Keras' layers", step(plain), "fused", step(fused), rounds)


def keras_backbone(network: Network) -> Work:
    """The backbone as a compiled TensorFlow function, in its best batch size."""
    forward = tf.function(lambda images: network.backbone(images, training=False))
    batch = tf.constant(np.random.default_rng(0).uniform(0, 255, (64, 224, 224, 3)), tf.float32)
    return lambda: [forward(batch) for _ in range(ROWS // 64)]


def lite(network: Network) -> Work:
    """The backbone as training runs it."""
    backbone = FrozenBackbone(network.backbone, os.cpu_count() or 1)
    images = np.random.default_rng(0).uniform(0, 255, (BATCH, 224, 224, 3)).astype(np.float32)
    return lambda: [backbone(images) for _ in range(ROWS // BATCH)]


def plain_layer(layer: keras.Layer) -> keras.Layer:
    """Keras' own normalisation in place of ours."""
    kind = keras.layers.BatchNormalization
    return (kind if isinstance(layer, FusedBatchNormalization) else type(layer)).from_config(
        layer.get_config()
    )


def step(head: keras.Model) -> Work:
    """Forward, backward and update of a head."""
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9)
    optimizer.build(head.trainable_variables)
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    draw = np.random.default_rng(0)
    features = tf.constant(draw.normal(0, 3, (STEP_ROWS, *head.input_shape[1:])), tf.float32)
    labels = tf.constant(draw.integers(0, 7, STEP_ROWS))

    @tf.function
    def once() -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = loss_of(labels, head(features, training=True))
        variables = head.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    return lambda: [once() for _ in range(ROWS // STEP_ROWS)]


def compare(
    what: str, before_name: str, before: Work, after_name: str, after: Work, rounds: int
) -> None:
    """Print rows per second of both ways and the ratio of their medians."""
    before()
    after()
    pairs = [(timed(before), timed(after)) for _ in range(rounds)]
    for unit, index in (("wall second", 0), ("CPU second", 1)):
        old = statistics.median(pair[0][index] for pair in pairs)
        new = statistics.median(pair[1][index] for pair in pairs)
        print(
            f"{what}: {before_name} {ROWS / old:.0f}, {after_name} {ROWS / new:.0f} "
            f"rows per {unit}, ratio {old / new:.2f}"
        )


def timed(work: Work) -> tuple[float, float]:
    """Wall and CPU seconds of one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


if __name__ == "__main__":
    main()
