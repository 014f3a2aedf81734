"""Archives that are made by code, and workers that score in this process and may lose tasks."""

import io
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from lentigo_contract.manifest.engines import EngineName
from lentigo_contract.repository.store import ModelStore
from lentigo_inference.scoring.fetching import Fetcher
from lentigo_inference.scoring.items import Task
from lentigo_inference.scoring.prepare import Prepared, prepare
from lentigo_inference.scoring.results import open_results
from lentigo_inference.scoring.run import Run
from lentigo_inference.scoring.scorer import Scorer, load_scoring_model
from lentigo_inference.scoring.sources.choose import choose_source
from lentigo_inference.scoring.workers.base import Lost, Outcome, Scored
from lentigo_inference.settings import Settings
from tests.fakes import jpeg_bytes, lesion_image
from tests.models import load_plain, publish_plain

PART_SIZE = 10
SEED = 5
ENGINE: EngineName = "litert"


def lesions(count: int, first: int = 0) -> dict[str, bytes]:
    """Make different images, by the names of their files."""
    return {
        f"lesion-{number:04}.jpg": jpeg_bytes(lesion_image(number, size=(128, 110)))
        for number in range(first, first + count)
    }


def write_folder(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def write_zip(path: Path, files: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def write_tar(path: Path, files: Mapping[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def paths_of(source: Path) -> list[str]:
    return [found.path for found in choose_source(source, 2**20).images()]


def contents_of(source: Path, max_bytes: int = 2**20) -> dict[str, bytes]:
    """Read every image of a source; raises what the fetcher raises."""
    fetcher = Fetcher(max_bytes, timeout_s=30)
    return {
        found.path: fetcher.fetch(found.place())
        for found in choose_source(source, max_bytes).images()
    }


class InlineWorkers:
    """Scores in this process; `loses` says which tasks end their worker."""

    size = 2

    def __init__(self, score: Scorer, loses: Callable[[Task], bool] = lambda _task: False) -> None:
        self._scorer = score
        self._loses = loses
        self._waiting: list[Task] = []
        self.scored: list[int] = []
        self.most_waiting = 0

    @property
    def room(self) -> int:
        return 3 - len(self._waiting)

    def submit(self, task: Task) -> None:
        assert self.room > 0, "a task was handed over without room"
        self._waiting.append(task)

    def wait(self, timeout_s: float) -> Sequence[Outcome]:
        del timeout_s
        # The last comes first: workers finish in any order.
        task = self._waiting.pop()
        if self._loses(task):
            return [Lost(task)]
        self.scored += [item.number for item in task.items]
        return [Scored(task, self._scorer.score(task))]

    def close(self) -> None:
        self._waiting.clear()


class Watch:
    """Counts what a run says."""

    def __init__(self) -> None:
        self.scored = self.failed = self.skipped = 0

    def advance(self, images: int, failed: int) -> None:
        self.scored += images
        self.failed += failed

    def skip(self, images: int) -> None:
        self.skipped += images

    def look(self) -> None:
        pass


class Bench:
    """A published model, and the way from a source to rows."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.store = ModelStore(folder / "models")
        publish_plain(self.store, SEED, **changes)
        self.settings = Settings(model_repository=self.store.root, engine=ENGINE)
        self.prepared: Prepared = prepare(self.settings, timeout_s=5, load=load_plain)
        model = load_scoring_model(self.store.root, self.prepared.model, load_plain)
        self.scorer = Scorer(model, self.prepared.limits)

    def score(
        self,
        source: Path,
        to: Path,
        loses: Callable[[Task], bool] = lambda _task: False,
        stopped: Callable[[], None] = lambda: None,
        part_size: int = PART_SIZE,
    ) -> tuple[InlineWorkers, Watch]:
        images = choose_source(source, self.prepared.limits.image.max_bytes)
        workers, watch = InlineWorkers(self.scorer, loses), Watch()
        run = {"source": images.identity, "part_size": part_size, **self.prepared.document}
        with open_results(to, run, self.prepared.answered_by, part_size) as results:
            Run(results, watch, stopped).score(images.images(), lambda: workers)
        return workers, watch


def rows_of(to: Path) -> list[dict[str, Any]]:
    """All rows of a folder with results, in the order of their files."""
    return [
        row
        for part in sorted((to / "rows").glob("part-*.parquet"))
        for row in pq.read_table(part).to_pylist()
    ]


def column(rows: Iterable[Mapping[str, Any]], name: str) -> list[Any]:
    return [row[name] for row in rows]
