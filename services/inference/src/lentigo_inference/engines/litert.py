"""LiteRT, which runs the version's `.tflite` files through XNNPACK."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, Final

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from lentigo_contract.errors import EngineError
from lentigo_contract.imaging.read import MODEL_SIDE
from lentigo_contract.manifest.engines import EngineName
from lentigo_inference.engines.base import OUTPUTS, Images, Prediction

_SIGNATURE = "serving_default"

_Answer = tuple[Any, ...]

# Each lane holds weights arranged for XNNPACK, 5 MB in int8 and 17 MB in float32.
_MAX_LANES: Final = 4


class LiteRTEngine:
    """A version's LiteRT model, in memory.

    A lone image is computed with all threads. Of several, each lane takes its share with a part of
    the threads: threads that compute the same image wait for each other at every layer.
    docs/decisions/0011-parallel-litert-interpreters.md has the figures.
    """

    platform = "litert_tflite"

    def __init__(
        self, name: EngineName, file: Path, threads: int, outputs: Sequence[str] = OUTPUTS
    ) -> None:
        """Load a model file.

        Args:
            name: the engine as manifests call it.
            file: the model; it is not needed any more afterwards.
            threads: what XNNPACK computes with.
            outputs: what it is asked for, as `outputs_of` the version gives them.

        Raises:
            EngineError: it cannot be loaded, or has another signature than ours.
        """
        self.name = name
        self.lanes = min(threads, _MAX_LANES)
        try:
            model = file.read_bytes()
            self._alone = _Lane(model, threads, outputs)
            self._lanes = (
                [_Lane(model, threads // self.lanes, outputs) for _ in range(self.lanes)]
                if self.lanes > 1
                else [self._alone]
            )
        except Exception as error:
            raise EngineError(f"LiteRT cannot load {file.name}: {_first_line(error)}") from error
        _check_signature(self._alone.run, file.name, outputs)
        self._threads = ThreadPoolExecutor(self.lanes, thread_name_prefix="lentigo-lane")

    def predict(self, images: Images) -> Prediction:
        """Run the network; see `engine.Engine`.

        A lane computes one image after the other: its feature maps then fit into the processor's
        cache, which gives up to three times the rate of a batch, and nothing is ever resized.
        """
        try:
            if len(images) == 1:
                answers = [self._alone.answer(images)]
            else:
                answers = self._side_by_side(images)
        except Exception as error:
            raise EngineError(f"LiteRT cannot run the model: {_first_line(error)}") from error
        return Prediction(*(np.concatenate(values) for values in zip(*answers, strict=True)))

    def close(self) -> None:
        """Free the interpreters with all their memory."""
        self._threads.shutdown()
        self._lanes.clear()
        self._alone.close()

    def _side_by_side(self, images: Images) -> list[_Answer]:
        """Share images out, lane k taking every lanes-th from the k-th on."""
        answers: list[_Answer] = [()] * len(images)

        def work(number: int) -> None:
            for place in range(number, len(images), len(self._lanes)):
                answers[place] = self._lanes[number].answer(images[place : place + 1])

        others = [self._threads.submit(work, number) for number in range(1, len(self._lanes))]
        try:
            work(0)
        finally:
            # Whatever fails, no interpreter computes any more when this returns.
            wait(others)
        for each in others:
            each.result()
        return answers


class _Lane:
    """An interpreter; one thread at a time asks it."""

    def __init__(self, model: bytes, threads: int, outputs: Sequence[str]) -> None:
        # The interpreter computes with these very bytes, so they live as long as it does. A mapped
        # file would end the process if its disk went away.
        self._model = model
        self._outputs = outputs
        self._interpreter: Any = Interpreter(model_content=model, num_threads=threads)
        self.run: Any = self._interpreter.get_signature_runner(_SIGNATURE)

    def answer(self, image: Images) -> _Answer:
        outputs = self.run(image=image)
        return tuple(outputs[name] for name in self._outputs)

    def close(self) -> None:
        self._interpreter = self.run = None
        self._model = b""


def _check_signature(
    run: Any,  # noqa: ANN401 - LiteRT has no types
    file: str,
    wanted: Sequence[str],
) -> None:
    inputs, outputs = run.get_input_details(), run.get_output_details()
    image = inputs.get("image")
    fits = (
        set(inputs) == {"image"}
        and image["dtype"] is np.uint8
        and list(image["shape"])[1:] == [MODEL_SIDE, MODEL_SIDE, 3]
        and set(wanted) <= set(outputs)
    )
    if not fits:
        raise EngineError(
            f"{file} takes {_described(inputs)} and gives {_described(outputs)}; expected is image "
            f"uint8 [n, 224, 224, 3] to {', '.join(wanted)}. Export it again with this release of "
            "the trainer."
        )


def _described(tensors: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {tensor['dtype'].__name__} {list(tensor['shape'])}"
        for name, tensor in sorted(tensors.items())
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
