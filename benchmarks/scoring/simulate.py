"""How long a large archive takes, and what it costs, by the size of the cluster: simulated.

    .venv/bin/python -m benchmarks.scoring.simulate --core-rate 60 --driver-rate 10000

Both rates are measured, by `benchmarks.scoring ray` and `benchmarks.scoring driver`; all else is an
assumption that the table names. Nothing here was run on a cluster of that size.

Each core is a queue of tasks of 32 images that take what was measured, give or take a tenth. Nodes
are lost at random, as spot machines are: each loses the tasks that its cores were at, and comes
back after some minutes. The one driver hands out and writes at most so many images a second.
"""

import argparse
import heapq
import random
from dataclasses import dataclass
from typing import Final

from lentigo_inference.scoring.items import TASK_IMAGES

CORES_A_NODE: Final = 16
CLUSTERS: Final = (16, 64, 256, 1024)
SPREAD: Final = 0.1
# So many tasks are simulated one by one; the rest of an archive takes as long for each.
_MOST_TASKS: Final = 400_000


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What is assumed of cluster and archive.

    Attributes:
        images: of the archive.
        core_rate: images a second of one core.
        driver_rate: images a second that the driver hands out and writes, at most.
        start_s: until the first actor is ready.
        node_hours: mean time until a node is lost, in hours.
        return_s: until a lost node is back.
        price: of a core for an hour.
    """

    images: int
    core_rate: float
    driver_rate: float
    start_s: float = 120.0
    node_hours: float = 24.0
    return_s: float = 300.0
    price: float = 0.04


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a cluster did.

    Attributes:
        hours: from start to end.
        nodes_lost: how often a node was lost.
        repeated: share of images that were scored again because of it.
        price: of all cores for all hours.
    """

    hours: float
    nodes_lost: float
    repeated: float
    price: float


def simulate(cores: int, given: Assumptions, seed: int = 0) -> Outcome:
    """Run an archive, or as much of it as tells the rest, through a cluster."""
    chance = random.Random(seed)
    tasks = given.images // TASK_IMAGES
    run = min(tasks, _MOST_TASKS)
    nodes = max(1, cores // CORES_A_NODE)
    lost_at = [chance.expovariate(1 / (given.node_hours * 3600)) for _ in range(nodes)]
    # Each entry: when a core is free, and which node it is on.
    free = [(0.0, core % nodes) for core in range(cores)]
    heapq.heapify(free)
    handed, done, repeated, lost, now, end = 0.0, 0, 0, 0, 0.0, 0.0
    between = TASK_IMAGES / given.driver_rate
    while done < run:
        now, node = heapq.heappop(free)
        # The driver hands out one task after the other.
        begin = max(now, handed)
        handed = begin + between
        takes = TASK_IMAGES / given.core_rate * chance.uniform(1 - SPREAD, 1 + SPREAD)
        if begin + takes > lost_at[node]:
            # This core's share of the loss; the node's first core to notice draws the next one.
            back = max(begin, lost_at[node]) + given.return_s
            cores_lost = [(back, node)]
            kept = []
            for when, where in free:
                (cores_lost if where == node else kept).append((when, where))
            repeated += len(cores_lost)
            lost += 1
            free = kept + [(back, node) for _ in cores_lost]
            heapq.heapify(free)
            lost_at[node] = back + chance.expovariate(1 / (given.node_hours * 3600))
            # What they had finished before stays finished; what they were at is handed out again.
            done -= min(done, len(cores_lost) - 1)
            continue
        done += 1
        end = max(end, begin + takes)
        heapq.heappush(free, (begin + takes, node))
    whole = tasks / run
    hours = (given.start_s + end * whole) / 3600
    return Outcome(
        hours=hours,
        nodes_lost=lost * whole,
        repeated=repeated / run,
        price=hours * cores * given.price,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=50_000_000)
    parser.add_argument("--core-rate", type=float, required=True, help="images/s")
    parser.add_argument("--driver-rate", type=float, required=True, help="images/s")
    parser.add_argument("--price", type=float, default=0.04, help="of a core for an hour")
    parser.add_argument("--node-hours", type=float, default=24.0)
    options = parser.parse_args()
    given = Assumptions(
        images=options.images,
        core_rate=options.core_rate,
        driver_rate=options.driver_rate,
        node_hours=options.node_hours,
        price=options.price,
    )
    names = ("Cores", "Nodes", "Hours", "Images/s", "Nodes lost", "Again", "Core hours", "Price")
    print(f"| {' | '.join(names)} |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for cores in CLUSTERS:
        outcome = simulate(cores, given)
        rate = given.images / (outcome.hours * 3600)
        print(
            f"| {cores:,} | {max(1, cores // CORES_A_NODE)} | {outcome.hours:,.1f} | {rate:,.0f} | "
            f"{outcome.nodes_lost:,.0f} | {100 * outcome.repeated:.3f} % | "
            f"{outcome.hours * cores:,.0f} | {outcome.price:,.0f} |"
        )


if __name__ == "__main__":
    main()
