"""What scoring is compared with: processes that read, decode and compute, and do nothing else."""

import multiprocessing
import time
from collections.abc import Sequence
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np

from lentigo_contract.imaging.read import open_image
from lentigo_inference.scoring.prepare import Prepared
from lentigo_inference.scoring.scorer import load_scoring_model
from lentigo_inference.serving.decoding import decode_opened
from lentigo_inference.serving.judgement import judge


def reference(source: Path, prepared: Prepared, cores: int) -> float:
    """Images a second of processes that read, decode and compute, and do nothing else."""
    files = [str(path) for path in sorted(source.rglob("*.jpg"))]
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(cores + 1)
    shares = [files[number::cores] for number in range(cores)]
    processes = [
        context.Process(target=_compute, args=(share, prepared, ready)) for share in shares
    ]
    for process in processes:
        process.start()
    ready.wait()
    started = time.perf_counter()
    for process in processes:
        process.join()
    return len(files) / (time.perf_counter() - started)


def _compute(files: Sequence[str], prepared: Prepared, ready: Barrier) -> None:
    model = load_scoring_model(prepared.root, prepared.model)
    ready.wait()
    batch = prepared.limits.batch
    for place in range(0, len(files), batch):
        uploads = [
            decode_opened(open_image(Path(file).read_bytes(), prepared.limits.image), "")
            for file in files[place : place + batch]
        ]
        prediction = model.engine.predict(np.stack([each.image.pixels for each in uploads]))
        for number, upload in enumerate(uploads):
            judge(model, prediction.take(np.array([number])), upload.issues, force=False)
