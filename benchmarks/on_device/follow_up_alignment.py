"""How often the page aligns two pictures of one lesion, and two of different lesions.

    .venv/bin/python -m benchmarks.on_device.follow_up_alignment IMAGES.zip METADATA.csv --count 100

IMAGES.zip and METADATA.csv are those of HAM10000: images with one `lesion_id` are of one lesion,
often at another magnification; pairs of different lesions are drawn from a seed. Pictures that are
turned, scaled and lit otherwise by code have a known answer, and give the error. It runs the page's
own modules in Node.js (20.10 or newer).
"""

import argparse
import csv
import io
import json
import subprocess
import zipfile
from collections import defaultdict
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np
from PIL import Image

LONGEST: Final = 320

# Reads pairs: width and height (32 bits each) and RGBA of each; answers with a line of JSON.
_PROGRAM: Final = """
import { lumaOf } from "%(web)s/js/camera/sharpness.js";
import { align } from "%(web)s/js/follow-up/alignment.js";
import { compare, warped } from "%(web)s/js/follow-up/comparison.js";
import { inverse } from "%(web)s/js/follow-up/similarity.js";
const parts = [];
for await (const part of process.stdin) parts.push(part);
const input = Buffer.concat(parts);
const same = { a: 1, b: 0, x: 0, y: 0 };
let at = 0;
const picture = () => {
    const [width, height] = [input.readUInt32LE(at), input.readUInt32LE(at + 4)];
    const data = new Uint8ClampedArray(input.subarray(at + 8, at + 8 + 4 * width * height));
    at += 8 + data.length;
    return { data, width, height };
};
const plane = ({ data, width, height }) => ({ data: lumaOf(data), width, height });
while (at < input.length) {
    const [earlier, later] = [picture(), picture()];
    const { similarity, agreeing } = align(plane(earlier), plane(later));
    const found = similarity && compare(
        warped(earlier, same, earlier), warped(later, inverse(similarity), earlier));
    const { areaChange = null, colourDifference = null } = found ?? {};
    console.log(JSON.stringify({ similarity, agreeing, areaChange, colourDifference }));
}
"""

Pair = tuple[Image.Image, Image.Image]


def main() -> None:
    """Print the shares."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("images", type=Path)
    parser.add_argument("metadata", type=Path)
    parser.add_argument("--count", type=int, default=100)
    options = parser.parse_args()
    generator = np.random.default_rng(1)
    with zipfile.ZipFile(options.images) as archive:
        where = {PurePosixPath(name).stem: name for name in archive.namelist()}
        lesions = _lesions(options.metadata, where)

        def opened(name: str) -> Image.Image:
            return Image.open(io.BytesIO(archive.read(where[name]))).convert("RGB")

        several = [names for names in lesions.values() if len(names) > 1]
        chosen = generator.permutation(len(several))[: options.count]
        same = [(opened(several[at][0]), opened(several[at][1])) for at in chosen]
        firsts = [names[0] for names in lesions.values()]
        drawn = generator.permutation(len(firsts))[: 2 * options.count].reshape(-1, 2)
        different = [(opened(firsts[one]), opened(firsts[other])) for one, other in drawn]
        moved = [_moved(pair[0], generator) for pair in different]
    _print("one lesion, two pictures", _aligned(same))
    _print("different lesions", _aligned(different))
    found = _aligned([(image, other) for image, other, _ in moved])
    _print("one picture, moved by code", found)
    errors = [
        _error(each["similarity"], truth, image.size)
        for each, (image, _, truth) in zip(found, moved, strict=True)
        if each["similarity"]
    ]
    print(f"  error at the corners, pixels: {_quantiles(errors)}")


def _lesions(path: Path, where: dict[str, str]) -> dict[str, list[str]]:
    lesions: dict[str, list[str]] = defaultdict(list)
    with path.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            if row["image_id"] in where:
                lesions[row["lesion_id"]].append(row["image_id"])
    return lesions


def _moved(
    image: Image.Image, generator: np.random.Generator
) -> tuple[Image.Image, Image.Image, np.ndarray]:
    """Turn, scale, shift and darken an image; also the way from the new pixels to the old."""
    angle = generator.uniform(-np.pi, np.pi)
    scale = generator.uniform(0.75, 1.35)
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    middle = np.array(image.size) / 2
    shift = (
        middle
        + generator.uniform(-0.08, 0.08, 2) * image.size
        - [
            cos * middle[0] - sin * middle[1],
            sin * middle[0] + cos * middle[1],
        ]
    )
    way = np.array([[cos, -sin, shift[0]], [sin, cos, shift[1]]])
    light = generator.uniform(0.7, 1.1)
    other = image.transform(
        image.size, Image.Transform.AFFINE, way.ravel().tolist(), Image.Resampling.BICUBIC
    ).point(lambda value: value * light)
    noise = generator.normal(0, 2, (other.height, other.width, 3))
    pixels = np.clip(np.asarray(other, np.float32) + noise, 0, 255).astype(np.uint8)
    return image, Image.fromarray(pixels), way


def _aligned(pairs: list[Pair]) -> list[dict[str, Any]]:
    web = str(files("lentigo_inference").joinpath("web"))
    command = ["node", "--experimental-default-type=module", "--input-type=module", "-e"]
    content = b"".join(_picture(image) for pair in pairs for image in pair)
    process = subprocess.run(
        [*command, _PROGRAM % {"web": web}], input=content, stdout=subprocess.PIPE, check=True
    )
    return [json.loads(line) for line in process.stdout.splitlines()]


def _picture(image: Image.Image) -> bytes:
    small = image.copy()
    small.thumbnail((LONGEST, LONGEST))
    size = small.width.to_bytes(4, "little") + small.height.to_bytes(4, "little")
    return size + small.convert("RGBA").tobytes()


def _error(found: dict[str, float], truth: np.ndarray, size: tuple[int, int]) -> float:
    """Mean distance of the four corners of the later picture, in pixels."""
    width, height = size
    corners = np.array([(0, 0, 1), (width, 0, 1), (0, height, 1), (width, height, 1)])
    a, b = found["a"], found["b"]
    way = np.array([[a, -b, found["x"]], [b, a, found["y"]]])
    return float(np.hypot(*(corners @ (way - truth).T).T).mean())


def _quantiles(values: list[float]) -> str:
    texts = [f"{np.quantile(values, share):.3f}" for share in (0.5, 0.95, 1)]
    return f"median {texts[0]}, 95 % {texts[1]}, most {texts[2]}"


def _print(name: str, found: list[dict[str, Any]]) -> None:
    aligned = sum(each["similarity"] is not None for each in found)
    agreeing = [each["agreeing"] for each in found]
    spread = [int(np.quantile(agreeing, share)) for share in (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1)]
    print(f"{name}: aligned {aligned} of {len(found)}; details that agree, by quantile: {spread}")
    compared = [each for each in found if each["areaChange"] is not None]
    for key in ("areaChange", "colourDifference") if compared else ():
        texts = _quantiles([abs(each[key]) for each in compared])
        print(f"  {key} of {len(compared)} compared, absolute: {texts}")


if __name__ == "__main__":
    main()
