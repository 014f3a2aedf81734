"""LiteRT, which runs the version's `.tflite` files through XNNPACK."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, Final

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from lentigo_contract.errors import EngineError
from lentigo_contract.imaging.read import MODEL_SIDE
from lentigo_contract.manifest.engines import LITERT_FILES, EngineName
from lentigo_contract.wording import first_line
from lentigo_engines.base import SIGNATURE, Images, Prediction, outputs_among

# Each lane holds weights arranged for XNNPACK, 5 MB in int8 and 17 MB in float32.
_MAX_LANES: Final = 4


class LiteRTEngine:
    """A version's LiteRT model, in memory.

    A single image is computed with all threads. Several images are shared out among lanes, each
    with a part of the threads, because threads that compute the same image wait for each other at
    every layer. docs/decisions/0011-parallel-litert-interpreters.md has the measurements.
    """

    platform = "litert_tflite"

    def __init__(
        self,
        name: EngineName,
        model: bytes,
        threads: int,
        outputs: Sequence[str] | None = None,
        *,
        reference_kernels: bool = False,
    ) -> None:
        """Load a model.

        Args:
            name: the engine's name in manifests.
            model: content of the model's file.
            threads: number of threads that XNNPACK computes with.
            outputs: the outputs to read, see `outputs_of`; by default all that the model has.
            reference_kernels: compute with LiteRT's portable kernels instead of XNNPACK. They are
                slow and round int8 in another way, as another processor's might.

        Raises:
            EngineError: the model cannot be loaded, or has a different signature.
        """
        file = LITERT_FILES[name]
        self.name = name
        self.lanes = min(threads, _MAX_LANES)
        try:
            kernels = OpResolverType.BUILTIN_REF if reference_kernels else OpResolverType.AUTO
            self._alone = _Lane(model, threads, kernels)
            self._lanes = (
                [_Lane(model, threads // self.lanes, kernels) for _ in range(self.lanes)]
                if self.lanes > 1
                else [self._alone]
            )
        except Exception as error:
            raise EngineError(f"LiteRT cannot load {file}: {first_line(error)}") from error
        self._outputs = _checked_outputs(self._alone.run, file, outputs)
        self._threads = ThreadPoolExecutor(self.lanes, thread_name_prefix="lentigo-lane")

    def predict(self, images: Images) -> Prediction:
        """Run the network; see `Engine`.

        A lane computes one image after the other: its feature maps then fit into the processor's
        cache, which is up to three times as fast as a batch, and no tensor is ever resized.
        """
        try:
            if len(images) == 1:
                return self._predict_one(self._alone, images)
            return Prediction.concatenate(self._side_by_side(images))
        except Exception as error:
            raise EngineError(f"LiteRT cannot run the model: {first_line(error)}") from error

    def close(self) -> None:
        """Free the interpreters with all their memory."""
        self._threads.shutdown()
        self._lanes.clear()
        self._alone.close()

    def _predict_one(self, lane: "_Lane", image: Images) -> Prediction:
        outputs = lane.run(image=image)
        return Prediction(*(outputs[name] for name in self._outputs))

    def _side_by_side(self, images: Images) -> list[Prediction]:
        """Share the images out: lane k computes every lanes-th image from the k-th on."""
        predictions: dict[int, Prediction] = {}

        def work(number: int) -> None:
            for index in range(number, len(images), len(self._lanes)):
                image = images[index : index + 1]
                predictions[index] = self._predict_one(self._lanes[number], image)

        others = [self._threads.submit(work, number) for number in range(1, len(self._lanes))]
        try:
            work(0)
        finally:
            # Even after a failure, no interpreter is computing once this returns.
            wait(others)
        for each in others:
            each.result()
        return [predictions[index] for index in range(len(images))]


class _Lane:
    """An interpreter; one thread at a time uses it."""

    def __init__(self, model: bytes, threads: int, kernels: OpResolverType) -> None:
        # The interpreter computes with these very bytes, so they live as long as it does. A mapped
        # file would end the process if its disk went away.
        self._model = model
        self._interpreter: Any = Interpreter(
            model_content=model, num_threads=threads, experimental_op_resolver_type=kernels
        )
        self.run: Any = self._interpreter.get_signature_runner(SIGNATURE)

    def close(self) -> None:
        self._interpreter = self.run = None
        self._model = b""


def _checked_outputs(
    run: Any,  # noqa: ANN401 - LiteRT has no types
    file: str,
    wanted: Sequence[str] | None,
) -> Sequence[str]:
    inputs, outputs = run.get_input_details(), run.get_output_details()
    wanted = outputs_among(outputs) if wanted is None else wanted
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
    return wanted


def _described(tensors: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {tensor['dtype'].__name__} {list(tensor['shape'])}"
        for name, tensor in sorted(tensors.items())
    )
