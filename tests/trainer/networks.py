"""Networks for tests: MobileNet with random values that let a signal through."""

import numpy as np

from lentigo_trainer.models.classifier import Network, build
from lentigo_trainer.models.registry import architecture


def lively_mobilenet(seed: int) -> Network:
    """Build MobileNet with He-normal kernels; with Keras' own start values its features vanish."""
    network = build(architecture("mobilenet"), weights="random", seed=seed)
    draw = np.random.default_rng(seed)
    for variable in network.whole.variables:
        if "kernel" in variable.path:
            # A depthwise kernel [3, 3, c, 1] sees 9 inputs, any other all but its last axis.
            seen = 9 if variable.shape[-1] == 1 else np.prod(variable.shape[:-1])
            variable.assign(draw.normal(size=variable.shape) * np.sqrt(2 / seen))
    return network
