"""A functional network as a list of steps, to rebuild it with other layers in some places.

`steps_of` takes a network apart, `assemble` puts steps together again. What changes a network
(pruning, folding of batch normalisation, quantisation) changes the list between the two.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import keras

from lentigo_trainer.errors import TrainingError


@dataclass(frozen=True, slots=True)
class Step:
    """One layer of a network.

    Attributes:
        name: of the layer, unique in its network.
        layer: the layer, built.
        inputs: names of the steps whose outputs it takes; none for the images.
    """

    name: str
    layer: keras.Layer
    inputs: tuple[str, ...]


def steps_of(network: keras.Model) -> list[Step]:
    """Return a network's layers in the order in which they run, the input first.

    Args:
        network: a functional model with one input, each of whose layers is used once and takes
            nothing but the outputs of others.

    Raises:
        TrainingError: a layer is used twice, or takes something else.
    """
    (image,) = network.inputs
    source = network.layers[0]
    steps = [Step(source.name, source, ())]
    name_of = {id(image): source.name}
    kept: list[keras.KerasTensor] = []

    def follow(layer: keras.Layer, *args: object, **kwargs: object) -> keras.KerasTensor:
        taken = args[0] if len(args) == 1 else None
        tensors = taken if isinstance(taken, list | tuple) else [taken]
        names = [name_of.get(id(tensor)) for tensor in tensors]
        inputs = tuple(name for name in names if name is not None)
        if len(inputs) < len(names) or layer.name in name_of.values():
            raise TrainingError(
                f"The layer {layer.name} ({type(layer).__name__}) is used in a way that cannot be "
                "rebuilt. Use a network whose layers each take the outputs of others, once."
            )
        output = layer(*args, **kwargs)
        steps.append(Step(layer.name, layer, inputs))
        name_of[id(output)] = layer.name
        # An id is only unique among tensors that live.
        kept.append(output)
        return output

    keras.models.clone_model(
        network, input_tensors=image, clone_function=lambda layer: layer, call_function=follow
    )
    return steps


def assemble(steps: Sequence[Step]) -> keras.Model:
    """Build a network from steps; it shares their layers and ends with the last one.

    Args:
        steps: the input first, every other after those that it takes.
    """
    outputs: dict[str, keras.KerasTensor] = {}
    image = keras.Input(steps[0].layer.batch_shape[1:], name=steps[0].name)
    outputs[steps[0].name] = image
    for step in steps[1:]:
        tensors = [outputs[each] for each in step.inputs]
        outputs[step.name] = step.layer(tensors if len(tensors) > 1 else tensors[0])
    return keras.Model(image, outputs[steps[-1].name])


def followers(steps: Sequence[Step]) -> dict[str, list[Step]]:
    """Return for every step those that take its output."""
    found: dict[str, list[Step]] = {step.name: [] for step in steps}
    for step in steps:
        for name in step.inputs:
            found[name].append(step)
    return found


def without(steps: Sequence[Step], names: Sequence[str]) -> list[Step]:
    """Return the steps without some that each have one input, which then feeds their followers."""
    input_of = {step.name: step.inputs[0] for step in steps if step.name in names}

    def source(name: str) -> str:
        while name in input_of:
            name = input_of[name]
        return name

    return [
        Step(step.name, step.layer, tuple(map(source, step.inputs)))
        for step in steps
        if step.name not in input_of
    ]


def copied(layer: keras.Layer, **changes: object) -> keras.Layer:
    """Return a layer of the same class and name without weights, with some settings changed."""
    return type(layer).from_config({**layer.get_config(), **changes})


def copied_network(whole: keras.Model) -> keras.Model:
    """Return a network of the same layers and values that shares nothing with the original."""
    steps = steps_of(whole)
    twin = assemble([Step(step.name, copied(step.layer), step.inputs) for step in steps])
    for step in steps:
        if step.layer.weights:
            twin.get_layer(step.name).set_weights(step.layer.get_weights())
    return twin
