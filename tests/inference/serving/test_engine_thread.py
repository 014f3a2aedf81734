import threading

import numpy as np
import pytest

from lentigo_contract.errors import EngineError
from lentigo_contract.repository.store import ModelStore
from lentigo_engines.base import Images, Prediction
from lentigo_inference.engines.in_turn import EngineInTurn
from lentigo_inference.serving.engine_thread import EngineThread
from tests.models import PlainEngine, expected, loaded, publish_plain

IMAGES = np.random.default_rng(1).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)


def test_an_engine_in_turn_runs_on_the_engine_thread_and_answers_as_it_does_alone() -> None:
    threads: list[str] = []

    class Noting(PlainEngine):
        def predict(self, images: Images) -> Prediction:
            threads.append(threading.current_thread().name)
            return super().predict(images)

    engine_thread = EngineThread()
    engine = EngineInTurn(Noting(1), engine_thread.in_turn)
    found = engine.predict(IMAGES)
    engine_thread.close()
    assert (engine.name, engine.platform, engine.lanes) == ("plain", "numpy", 0)
    np.testing.assert_array_equal(found.probabilities, expected(IMAGES, 1).probabilities)
    assert threads == ["lentigo-engine_0"]


def test_an_error_in_turn_is_raised_for_the_caller() -> None:
    class Broken(PlainEngine):
        def predict(self, _images: Images) -> Prediction:
            raise EngineError("The runtime failed.")

    engine_thread = EngineThread()
    with pytest.raises(EngineError, match="The runtime failed"):
        EngineInTurn(Broken(1), engine_thread.in_turn).predict(IMAGES)
    engine_thread.close()


def test_after_closing_nothing_runs_and_retired_models_are_still_closed(
    store: ModelStore,
) -> None:
    engine_thread = EngineThread()
    engine_thread.close()
    engine = PlainEngine(1)
    with pytest.raises(EngineError, match="being stopped"):
        EngineInTurn(engine, engine_thread.in_turn).predict(IMAGES)
    engine_thread.retire(loaded(publish_plain(store, 1), engine))
    assert engine.closed
