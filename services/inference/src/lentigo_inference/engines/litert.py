"""LiteRT, which runs the version's `.tflite` files through XNNPACK."""

from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from lentigo_contract.agreement import EngineName
from lentigo_contract.errors import EngineError
from lentigo_contract.images import MODEL_SIDE
from lentigo_inference.engine import Images, Prediction

_SIGNATURE = "serving_default"
_OUTPUTS = ("probabilities", "activation_map")


class LiteRTEngine:
    """A version's LiteRT model, in memory."""

    platform = "litert_tflite"
    batches = False

    def __init__(self, name: EngineName, file: Path, threads: int) -> None:
        """Load a model file.

        Args:
            name: the engine as manifests call it.
            file: the model; it is not needed any more afterwards.
            threads: what XNNPACK computes with.

        Raises:
            EngineError: it cannot be loaded, or has another signature than ours.
        """
        self.name = name
        try:
            # The interpreter computes with these very bytes, so they live as long as it does. A
            # mapped file would end the process if its disk went away.
            self._model = file.read_bytes()
            self._interpreter: Any = Interpreter(model_content=self._model, num_threads=threads)
            self._run: Any = self._interpreter.get_signature_runner(_SIGNATURE)
        except Exception as error:
            raise EngineError(f"LiteRT cannot load {file.name}: {_first_line(error)}") from error
        _check_signature(self._run, file.name)

    def predict(self, images: Images) -> Prediction:
        """Run the network; see `engine.Engine`.

        One image after the other: its feature maps then fit into the processor's cache, which
        gives up to three times the rate of a batch, and nothing is ever resized.
        """
        try:
            answers = [self._answer(image[None]) for image in images]
        except Exception as error:
            raise EngineError(f"LiteRT cannot run the model: {_first_line(error)}") from error
        return Prediction(*(np.concatenate(values) for values in zip(*answers, strict=True)))

    def close(self) -> None:
        """Free the interpreter with all its memory."""
        self._interpreter = self._run = None
        self._model = b""

    def _answer(self, image: Images) -> tuple[Any, ...]:
        outputs = self._run(image=image)
        return tuple(outputs[name] for name in _OUTPUTS)


def _check_signature(run: Any, file: str) -> None:  # noqa: ANN401 - LiteRT has no types
    inputs, outputs = run.get_input_details(), run.get_output_details()
    image = inputs.get("image")
    fits = (
        set(inputs) == {"image"}
        and image["dtype"] is np.uint8
        and list(image["shape"])[1:] == [MODEL_SIDE, MODEL_SIDE, 3]
        and set(_OUTPUTS) <= set(outputs)
    )
    if not fits:
        raise EngineError(
            f"{file} takes {_described(inputs)} and gives {_described(outputs)}; expected is image "
            "uint8 [n, 224, 224, 3] to probabilities and activation_map. Export it again with this "
            "release of the trainer."
        )


def _described(tensors: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {tensor['dtype'].__name__} {list(tensor['shape'])}"
        for name, tensor in sorted(tensors.items())
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
