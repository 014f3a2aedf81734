"""What benchmarks/serving.py prints: rows, summaries, and figures beside their bounds."""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from load.generator import Outcome

HEAD = (
    "| Server | Clients | Requests/s | p50 ms | p95 ms | p99 ms | Memory MiB |\n"
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
)


@dataclass(frozen=True)
class Row:
    """One server at one concurrency: requests a second, milliseconds, MiB."""

    server: str
    concurrency: int
    rate: float
    p50: float
    p95: float
    p99: float
    memory: float

    def __str__(self) -> str:
        """Give a row of the table under HEAD."""
        return (
            f"| {self.server} | {self.concurrency} | {self.rate:.1f} | {self.p50:.1f} | "
            f"{self.p95:.1f} | {self.p99:.1f} | {self.memory:.0f} |"
        )


@dataclass(frozen=True)
class BenchmarkResult:
    """A figure and what it should be; the value is None if it was not measured."""

    what: str
    value: float | None
    bound: str = ""
    met: bool | None = None

    def __str__(self) -> str:
        """Give a row of the last table."""
        value = "not measured" if self.value is None else f"{self.value:.3g}"
        verdict = {True: "yes", False: "**no**", None: ""}[self.met]
        return f"| {self.what} | {value} | {self.bound} | {verdict} |"


def at_least(what: str, value: float | None, bound: float) -> BenchmarkResult:
    """Give a figure that should not be smaller."""
    return BenchmarkResult(what, value, f">= {bound:g}", None if value is None else value >= bound)


def at_most(what: str, value: float | None, bound: float) -> BenchmarkResult:
    """Give a figure that should not be larger."""
    return BenchmarkResult(what, value, f"<= {bound:g}", None if value is None else value <= bound)


def row(server: str, concurrency: int, outcome: Outcome, memory: float) -> Row:
    """Summarise a run in which every answer was right; one that was not ends the benchmark."""
    if outcome.wrong or outcome.failed or outcome.refused or not outcome.good:
        sys.exit(f"{server}, {concurrency} clients: {summary(outcome)}")
    p50, p95, p99 = (float(value) for value in np.percentile(outcome.good, (50, 95, 99)))
    return Row(server, concurrency, len(outcome.good) / outcome.seconds, p50, p95, p99, memory)


def summary(outcome: Outcome) -> str:
    """Say in a line what became of the requests."""
    parts = [f"{len(outcome.good)} right in {outcome.seconds:.1f} s"]
    if outcome.good:
        p50, p99 = np.percentile(outcome.good, (50, 99))
        parts.append(f"p50 {p50:.1f} ms, p99 {p99:.1f} ms")
    if outcome.refused:
        p50, p99 = np.percentile(outcome.refused, (50, 99))
        parts.append(
            f"{len(outcome.refused)} refused (p50 {p50:.1f} ms, p99 {p99:.1f} ms, "
            f"slowest {max(outcome.refused):.1f} ms)"
        )
    parts.append(f"{outcome.wrong} wrong")
    parts += [f"{count} {what}" for what, count in outcome.failed.items()]
    if outcome.unsent:
        parts.append(f"{outcome.unsent} not sent in time")
    return ", ".join(parts)


def draw_memory(memory: list[float], file: Path) -> None:
    """Draw resident memory after each reload, as SVG."""
    figure = Figure(figsize=(7, 3.5), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(range(len(memory)), memory, marker="o", markersize=3, color="#3b76af")
    axes.set(
        xlabel="reloads under load", ylabel="resident memory, MiB", ylim=(0, 1.15 * max(memory))
    )
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, format="svg")


def draw_memory_over_time(
    minutes: list[float],
    memory: list[float],
    at_rest: list[tuple[float, float]],
    marks: list[float],
    file: Path,
) -> None:
    """Draw memory over time, as SVG or PNG by the file's name.

    Args:
        minutes: of the samples.
        memory: the samples in MiB.
        at_rest: minutes and MiB of further samples, while little was asked.
        marks: minutes of reloads, each a line.
        file: to write.
    """
    figure = Figure(figsize=(7, 3.5), layout="constrained")
    axes = figure.add_subplot()
    for mark in marks:
        axes.axvline(mark, color="#d9d9d9", linewidth=0.8)
    axes.plot(minutes, memory, color="#3b76af", linewidth=1, label="under load")
    axes.plot(*zip(*at_rest, strict=True), "o", color="#b3452c", markersize=4, label="at rest")
    axes.legend(frameon=False)
    axes.set(
        xlabel="minutes (grey: reloads)",
        ylabel="memory, MiB",
        ylim=(0, 1.15 * max(memory)),
        xlim=(0, max(minutes)),
    )
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file)
