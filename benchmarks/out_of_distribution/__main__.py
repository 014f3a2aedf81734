"""How many images without a lesion a version refuses as out of distribution.

    .venv/bin/python -m benchmarks.out_of_distribution --photographs /usr/share/backgrounds

Draws pages, charts, patterns and noise, and reads every image below the given folders, each of them
a kind of its own: photographs of anything but lesions. Runs every engine that may serve, as the
service would, and prints what computing the score costs. The photographs that were used, and
the results, are in docs/decisions/0015-out-of-distribution-by-mahalanobis-distance.md.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.out_of_distribution.cost import cost_of_scoring
from benchmarks.out_of_distribution.pictures import KINDS, drawn
from lentigo_contract.errors import ImageError
from lentigo_contract.imaging.read import read_image
from lentigo_contract.manifest.engines import LITERT_FILES, EngineName
from lentigo_contract.manifest.manifest import Manifest
from lentigo_engines.base import Images
from lentigo_inference.monitoring import intervals
from lentigo_trainer.evaluation.evaluate import open_version
from lentigo_trainer.evaluation.exported_model import predict_with
from lentigo_trainer.system.progress import SilentProgress

SEED: Final = 7
_SUFFIXES: Final = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp"}


def main() -> None:
    """Evaluate one version."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_AsWritten)
    parser.add_argument("--model", type=Path, default=Path("models"), help="a version, or models")
    parser.add_argument("--photographs", type=Path, nargs="*", default=[], metavar="FOLDER")
    parser.add_argument("--most", type=int, default=100, help="images of a folder, at most")
    parser.add_argument("--drawn", type=int, default=25, help="drawn images of each kind")
    parser.add_argument("--runs", type=int, default=300, help="timed runs of each engine")
    options = parser.parse_args()
    version = open_version(options.model)
    if version.manifest.unlikeness is None:
        parser.error(f"{version.path} does not compute how unlike its training images an image is.")
    kinds = {kind: as_read(drawn(draw, options.drawn, SEED)) for kind, draw in KINDS.items()}
    for folder in options.photographs:
        kinds[str(folder)] = as_read(photographs(folder, options.most))
    for engine in engines_of(version.manifest):
        report(engine, version.path, version.manifest.unlikeness.limit, kinds)
        print(cost_of_scoring(engine, version.path, options.runs))


class _AsWritten(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of the description."""


def engines_of(manifest: Manifest) -> list[EngineName]:
    """The SavedModel, and what agrees with it."""
    agreement = manifest.agreement or {}
    return ["savedmodel", *(name for name, each in agreement.items() if each.shortfall() is None)]


def photographs(folder: Path, most: int) -> Iterator[bytes]:
    """Some of the images below a folder, drawn by chance if there are more."""
    files = sorted(each for each in folder.rglob("*") if each.suffix.lower() in _SUFFIXES)
    for place in np.sort(np.random.default_rng(SEED).permutation(len(files))[:most]):
        yield files[place].read_bytes()


def as_read(encoded: Iterator[bytes]) -> Images:
    """Return what the service would read; it refuses the others for another reason."""
    pixels = []
    for data in encoded:
        try:
            pixels.append(read_image(data).pixels)
        except ImageError as error:
            print(f"left out: {error}")
    return np.stack(pixels) if pixels else np.empty((0, 224, 224, 3), np.uint8)


def report(engine: EngineName, path: Path, threshold: float, kinds: dict[str, Images]) -> None:
    """Print how many of each kind an engine refuses."""
    file = LITERT_FILES.get(engine, "saved_model.pb")
    print(f"\n{engine} ({file}), threshold {threshold:.3f}\n")
    print("| Kind | Images | Refused | Share, 95 % interval |\n| --- | ---: | ---: | --- |")
    total = refused = 0
    for kind, pixels in kinds.items():
        if not len(pixels):
            continue
        scores = predict_with(engine, path, pixels, SilentProgress()).unlikeness
        if scores is None:
            raise SystemExit(f"{path / file} lacks the output unlikeness that its manifest names.")
        above = int(np.count_nonzero(scores > threshold))
        print(f"| {kind} | {len(pixels)} | {above} | {share(above, len(pixels))} |")
        total, refused = total + len(pixels), refused + above
    print(f"| all | {total} | {refused} | {share(refused, total)} |\n")


def share(part: int, n: int) -> str:
    """Format a share with its interval."""
    found = intervals.share(part, n, fewest=1)
    return f"{found.value:.1%} ({found.low:.1%} to {found.high:.1%})"


if __name__ == "__main__":
    main()
