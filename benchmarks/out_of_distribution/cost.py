"""What the out-of-distribution score costs: an engine with and without that output."""

import os
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from tensorflow.lite.tools import flatbuffer_utils

from lentigo_contract.manifest.engines import LITERT_FILES, EngineName, golden_images

_OUTPUT: Final = "unlikeness"
_SIGNATURE: Final = "serving_default"
_WARM_UP: Final = 20

Run = Callable[[], object]


def cost_of_scoring(engine: EngineName, version: Path, runs: int) -> str:
    """Time both in turn on one image, so that other load on the machine slows both down."""
    image = golden_images(1, 1)
    if engine == "savedmodel":
        pair = _saved_model_pair(version, image)
    else:
        pair = _litert_pair(version / LITERT_FILES[engine], image)
    for run in pair * _WARM_UP:
        run()
    times = np.array([[_milliseconds(run) for run in pair] for _ in range(runs)])
    with_score, without = np.median(times, axis=0)
    difference = np.median(times[:, 0] - times[:, 1])
    return (
        f"{engine}: {with_score:.3f} ms an image with it, {without:.3f} ms without, "
        f"medians of {runs}; the median difference is {difference:+.3f} ms, "
        f"{difference / without:+.1%}"
    )


def _milliseconds(run: Run) -> float:
    started = perf_counter()
    run()
    return 1000 * (perf_counter() - started)


def _saved_model_pair(version: Path, image: np.ndarray) -> tuple[Run, Run]:
    loaded = tf.saved_model.load(str(version))
    pixels = tf.constant(image)

    def timed(kept: tuple[str, ...]) -> Run:
        def predict(pixels: tf.Tensor) -> list[tf.Tensor]:
            # Called through `loaded`, which must live as long as its signature.
            outputs = loaded.signatures[_SIGNATURE](image=pixels)
            return [outputs[name] for name in kept]

        # Operations that no output needs are pruned when this function is traced.
        run = tf.function(predict, autograph=False)
        return lambda: [each.numpy() for each in run(pixels)]

    names = tuple(loaded.signatures[_SIGNATURE].structured_outputs)
    return timed(names), timed(tuple(name for name in names if name != _OUTPUT))


def _litert_pair(file: Path, image: np.ndarray) -> tuple[Run, Run]:
    whole = file.read_bytes()

    def timed(model: bytes) -> Run:
        interpreter = Interpreter(model_content=model, num_threads=os.cpu_count())
        run = interpreter.get_signature_runner(_SIGNATURE)
        return lambda: run(image=image)

    return timed(whole), timed(_without_it(whole))


def _without_it(model: bytes) -> bytes:
    """Remove an output from a LiteRT model, and every operation that only it needs."""
    parsed: Any = flatbuffer_utils.convert_bytearray_to_object(bytearray(model))
    graph, signature = parsed.subgraphs[0], parsed.signatureDefs[0]
    place = {each.name.decode(): each.tensorIndex for each in signature.outputs}[_OUTPUT]
    signature.outputs = [each for each in signature.outputs if each.tensorIndex != place]
    graph.outputs = [each for each in graph.outputs if each != place]
    needed, kept = set(graph.outputs), []
    for operation in reversed(graph.operators):
        if needed & set(operation.outputs):
            kept.append(operation)
            needed |= set(operation.inputs)
    graph.operators = kept[::-1]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(parsed))
