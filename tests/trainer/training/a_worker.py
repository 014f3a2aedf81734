"""One of two workers that train a made-up task; started by `test_workers`.

Usage: python a_worker.py head|fine_tuning CHECKPOINT RESULT [SECONDS-FREE EPOCH TO DIE AFTER]
"""

import os
import sys
from pathlib import Path

from lentigo_trainer.config.cluster import read_cluster
from lentigo_trainer.errors import ClusterError
from lentigo_trainer.system.native_output import quiet_tensorflow

with quiet_tensorflow():
    import numpy as np

    from lentigo_trainer.training.workers import connected
    from tests.trainer.training.a_task import train

DIED = 9
REFUSED = 1


def main(kind: str, checkpoint: Path, result: Path, stop_after: int) -> int:
    """Train, and write the network's weights and what the epochs measured."""
    try:
        with connected(read_cluster(os.environ)) as workers:

            def finished(epoch: int) -> None:
                if epoch == stop_after:
                    os._exit(DIED)

            # Nothing to pass on, and no content at all, are two things.
            agreed = workers.agree(workers.chief), workers.agree(not workers.chief)
            if agreed != (True, False):
                sys.exit(f"the workers agreed on {agreed}")
            weights, metrics = train(kind, checkpoint, workers, finished)
    except ClusterError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return REFUSED
    np.savez(result, *weights, metrics=np.array(metrics))
    return 0


if __name__ == "__main__":
    kind, checkpoint, result, stop_after = sys.argv[1:]
    sys.exit(main(kind, Path(checkpoint), Path(result), int(stop_after)))
