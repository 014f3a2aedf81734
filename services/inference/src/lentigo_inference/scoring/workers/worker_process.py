"""What a process that scores does: load the model, then score tasks until its pipe is closed.

Its argument is the descriptor of a `Connection`. A `Beginning` comes over it first, and None goes
back, or why the model cannot be loaded. Then numbered tasks come and numbered rows go back. Two
threads share the work: one computes while the other fetches the images of the next task.
"""

import os
import signal
import sys
import threading
import traceback
from multiprocessing.connection import Connection

from lentigo_contract.errors import LentigoError
from lentigo_inference.scoring.scorer import Scorer, load_scoring_model
from lentigo_inference.scoring.workers.base import TASKS_A_WORKER, Beginning


def main() -> None:
    """Score until the pipe is closed."""
    # Ctrl+C is for the program that started this one, which then closes the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = Connection(int(sys.argv[1]))
    beginning: Beginning = connection.recv()
    try:
        model = load_scoring_model(beginning.root, beginning.model)
    except LentigoError as error:
        connection.send(str(error))
        return
    connection.send(None)
    scorer = Scorer(model, beginning.limits)
    receiving, sending = threading.Lock(), threading.Lock()

    def work() -> None:
        try:
            while True:
                with receiving:
                    number, task = connection.recv()
                rows = scorer.score(task)
                with sending:
                    connection.send((number, rows))
        except (EOFError, OSError):
            # The pipe is closed: nobody waits for anything any more.
            os._exit(0)
        except BaseException:  # noqa: BLE001 - of one thread; the process must not go on halfway
            traceback.print_exc()
            os._exit(1)

    threads = [threading.Thread(target=work) for _ in range(TASKS_A_WORKER)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
