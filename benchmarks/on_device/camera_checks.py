"""What the live camera's checks say of a folder of dermatoscopic images, and of their outlines.

    .venv/bin/python -m benchmarks.on_device.camera_checks IMAGES.zip [MASKS.zip] --count 1000

IMAGES.zip holds JPEGs, MASKS.zip the outlines as NAME_segmentation.png, as HAM10000's do. It runs
the page's own modules in Node.js, so it needs the command `node` (20.10 or newer). It prints the
quantiles from which the limits in `web/js/camera/checks.js` were chosen, and how often an image
that was good enough for the set would get advice.
"""

import argparse
import io
import json
import subprocess
import zipfile
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

SIDE: Final = 224

_QUANTILES: Final = (0.005, 0.01, 0.05, 0.5, 0.95, 0.99, 0.995)

# Reads frames of 224 x 224 RGBA from its input; answers with one line of JSON each.
_PROGRAM: Final = """
import { lookAt, glareShare } from "%s/js/camera/checks.js";
import { lumaOf, varianceOfLaplacian } from "%s/js/camera/sharpness.js";
const bytes = 4 * 224 * 224;
let rest = Buffer.alloc(0);
for await (const part of process.stdin) {
    rest = Buffer.concat([rest, part]);
    for (; rest.length >= bytes; rest = rest.subarray(bytes)) {
        const rgba = new Uint8ClampedArray(rest.subarray(0, bytes));
        const { issue, extent } = lookAt(rgba, 600, 450);
        const sharpness = varianceOfLaplacian(lumaOf(rgba), 224, 224);
        console.log(JSON.stringify({ issue, extent, glare: glareShare(rgba), sharpness }));
    }
}
"""


def main() -> None:
    """Print the quantiles."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("images", type=Path)
    parser.add_argument("masks", type=Path, nargs="?")
    parser.add_argument("--count", type=int, default=1000)
    options = parser.parse_args()
    with zipfile.ZipFile(options.images) as images:
        names = sorted(name for name in images.namelist() if name.endswith(".jpg"))
        names = names[:: max(1, len(names) // options.count)][: options.count]
        found = _findings(_frame(images.read(name)) for name in names)
    print(f"{len(found)} images")
    glare = [each["glare"] for each in found]
    _print_quantiles("glare", glare)
    print(f"most glare: {max(glare):.5f}")
    areas = np.array([each["extent"]["area"] if each["extent"] else 0 for each in found])
    _print_quantiles("area, estimated", areas)
    issues = [each["issue"] or "none" for each in found]
    for issue in sorted(set(issues)):
        count = issues.count(issue)
        print(f"{issue}: {count} of {len(found)} ({count / len(found):.1%})")
    if options.masks:
        _compare(options.masks, names, areas)


def _findings(frames: Iterator[bytes]) -> list[dict[str, Any]]:
    web = str(files("lentigo_inference").joinpath("web"))
    command = ["node", "--experimental-default-type=module", "--input-type=module", "-e"]
    process = subprocess.run(
        [*command, _PROGRAM % (web, web)],
        input=b"".join(frames),
        stdout=subprocess.PIPE,
        check=True,
    )
    return [json.loads(line) for line in process.stdout.splitlines()]


def _frame(data: bytes) -> bytes:
    """Squash an image as the service does, to RGBA bytes."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    return image.resize((SIDE, SIDE), Image.Resampling.BILINEAR).convert("RGBA").tobytes()


def _compare(path: Path, names: list[str], areas: npt.NDArray[np.floating]) -> None:
    """Print how far the estimated area is from that of the outline."""
    with zipfile.ZipFile(path) as masks:
        where = {PurePosixPath(name).name: name for name in masks.namelist()}
        truth = np.array(
            [
                np.asarray(
                    Image.open(
                        io.BytesIO(
                            masks.read(where[f"{PurePosixPath(name).stem}_segmentation.png"])
                        )
                    )
                )
                .astype(bool)
                .mean()
                for name in names
            ]
        )
    _print_quantiles("area of the outline", truth)
    _print_quantiles("absolute difference", np.abs(areas - truth))
    small = truth < np.quantile(truth, 0.01)
    print(f"rank correlation {_rank_correlation(areas, truth):.3f}")
    print(f"of the {small.sum()} smallest, estimated: {np.sort(areas[small]).round(3).tolist()}")


def _rank_correlation(one: npt.ArrayLike, other: npt.ArrayLike) -> float:
    first, second = (np.argsort(np.argsort(values)) for values in (one, other))
    return float(np.corrcoef(first, second)[0, 1])


def _print_quantiles(name: str, values: npt.ArrayLike) -> None:
    found = np.quantile(np.asarray(values, np.float64), _QUANTILES)
    texts = (f"{share:.1%}: {value:.4f}" for share, value in zip(_QUANTILES, found, strict=True))
    print(f"{name}: {', '.join(texts)}")


if __name__ == "__main__":
    main()
