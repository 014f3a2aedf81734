"""An engine that computes nothing until the test lets it."""

import threading

from lentigo_engines.base import Images, Prediction
from tests.inference.network import DEADLINE_S
from tests.models import PlainEngine


class HeldEngine(PlainEngine):
    """Held when it is told to be, with the number of images it was given since."""

    def __init__(self) -> None:
        super().__init__(1)
        self.holding = threading.Event()
        self.reached = threading.Event()
        self.opened = threading.Event()
        self.seen = 0

    def predict(self, images: Images) -> Prediction:
        if self.holding.is_set():
            self.seen += len(images)
            self.reached.set()
            assert self.opened.wait(DEADLINE_S)
        return super().predict(images)
