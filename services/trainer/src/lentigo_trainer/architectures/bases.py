"""The bases: networks without a top, from scaled pictures to their last feature map.

Keras is imported when a base is built, so that the registry can be read without it.
"""

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    import keras

CNN_FILTERS: Final = (32, 64, 128, 256)
CNN_DROPOUT: Final = 0.25
"""The paper's CNN has dropout behind every pooling and gives no rate; MobileNet's head has this."""


class Base(Protocol):
    """Builds a base on a tensor of scaled pictures."""

    def __call__(
        self, pictures: "keras.KerasTensor", weights: str | None, seed: int
    ) -> "keras.Model":
        """Build.

        Args:
            pictures: [n, 224, 224, 3], scaled.
            weights: what Keras loads: a file or the word `imagenet`; None for random values.
            seed: of random values and of dropout, where the base is ours.

        Returns:
            A model from the tensor's own input to the last feature map.
        """
        ...


def application(name: str) -> Base:
    """Take a base of `keras.applications`, such as `VGG16`."""

    def build(pictures: "keras.KerasTensor", weights: str | None, seed: int) -> "keras.Model":  # noqa: ARG001 - Keras draws
        import keras  # noqa: PLC0415 - see the module

        return getattr(keras.applications, name)(
            include_top=False,
            input_tensor=pictures,
            input_shape=tuple(pictures.shape[1:]),
            weights=weights,
        )

    return build


def cnn(pictures: "keras.KerasTensor", weights: str | None, seed: int) -> "keras.Model":  # noqa: ARG001 - there are none
    """Build the paper's CNN: valid 3x3 convolutions, each with 2x2 max pooling and dropout.

    The paper's text says five convolutions; its summary and its total have these four.
    """
    import keras  # noqa: PLC0415 - see the module

    tensor = pictures
    for number, filters in enumerate(CNN_FILTERS, start=1):
        start = keras.initializers.GlorotUniform(seed=seed + number)
        for layer in (
            keras.layers.Conv2D(
                filters, 3, activation="relu", kernel_initializer=start, name=f"conv_{number}"
            ),
            keras.layers.MaxPooling2D(2, name=f"pool_{number}"),
            keras.layers.Dropout(CNN_DROPOUT, seed=seed, name=f"dropout_{number}"),
        ):
            tensor = layer(tensor)
    return keras.Model(keras.utils.get_source_inputs(pictures), tensor)
