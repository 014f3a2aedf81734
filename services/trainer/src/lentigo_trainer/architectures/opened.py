"""A network that gives what some of its layers see."""

from collections.abc import Sequence

import keras


def opened(whole: keras.Model, names: Sequence[str]) -> keras.Model:
    """Give a model with the same weights whose outputs are those of the layers named.

    Args:
        whole: a functional model.
        names: of its layers, at least one.

    Returns:
        A model with a list of outputs, or with one output for one name.
    """
    outputs: dict[str, keras.KerasTensor] = {}

    def remember(layer: keras.Layer, *args: object, **kwargs: object) -> keras.KerasTensor:
        outputs[layer.name] = layer(*args, **kwargs)
        return outputs[layer.name]

    # The layers have been called in several models; calling the very same ones once more is
    # Keras' public way to this model's own tensors.
    twin = keras.models.clone_model(
        whole, clone_function=lambda layer: layer, call_function=remember
    )
    tensors = [outputs[name] for name in names]
    return keras.Model(twin.inputs[0], tensors if len(tensors) > 1 else tensors[0])
