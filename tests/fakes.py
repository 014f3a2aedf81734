"""Made-up stand-ins that several suites share: lesions, HAM10000 in its real layout, versions.

Everything is drawn by code from a seed. No image of HAM10000 is, or may be, part of the project.
"""

import csv
import functools
import io
import random
import zipfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from lentigo_contract.labels import CODES, index_of
from lentigo_contract.manifest.compression import CompressedNetwork
from lentigo_contract.manifest.dataset import DatasetRecord, PlanRecord, SplitRecord
from lentigo_contract.manifest.engines import EngineAgreement, Golden, GoldenAnswer
from lentigo_contract.manifest.manifest import (
    Manifest,
    MapGeometry,
    OodThreshold,
    Parameters,
    Thresholds,
)
from lentigo_contract.manifest.probabilities import Calibration

# Half of HAM10000's 600x450.
LESION_SIZE: Final = (300, 225)

# The first number of the real archives.
FIRST_ISIC_NUMBER: Final = 24_306

Array = npt.NDArray[np.floating[Any]]

# Body of the lesion, RGB 0-255, and how far it goes over into a second colour.
_BODY: Final[dict[str, tuple[tuple[int, int, int], tuple[int, int, int]]]] = {
    "akiec": ((205, 95, 85), (235, 190, 175)),
    "bcc": ((225, 150, 155), (110, 110, 150)),
    "bkl": ((170, 130, 80), (200, 170, 110)),
    "df": ((175, 120, 95), (245, 225, 215)),
    "mel": ((55, 35, 40), (75, 85, 125)),
    "nv": ((120, 75, 45), (90, 55, 35)),
    "vasc": ((150, 15, 40), (90, 5, 60)),
}


def lesion_image(
    seed: int, diagnosis: str = "nv", size: tuple[int, int] = LESION_SIZE
) -> Image.Image:
    """Draw a plausible dermatoscopic image, RGB; the same arguments give the same picture.

    The seven diagnoses differ in colour and texture, so a network learns them in a few steps.
    """
    return _drawn(seed, diagnosis, size).copy()


@functools.lru_cache(maxsize=1024)
def _drawn(seed: int, diagnosis: str, size: tuple[int, int]) -> Image.Image:
    generator = np.random.default_rng([seed, index_of(diagnosis)])
    width, height = size
    down, across = np.mgrid[0:height, 0:width].astype(np.float32)
    unit = min(width, height)
    y = (down - height * generator.uniform(0.42, 0.58)) / unit
    x = (across - width * generator.uniform(0.42, 0.58)) / unit
    angle, radius = np.arctan2(y, x), np.hypot(x, y)

    skin = (np.array([226, 178, 160]) + generator.normal(0, 6, 3)).astype(np.float32)
    light = 1 - 0.25 * (np.hypot(down / height - 0.5, across / width - 0.5) ** 2)
    picture = skin * (light + 0.05 * _clouds(generator, height, width))[..., None]

    uneven = 0.16 if diagnosis == "mel" else 0.06
    edge = generator.uniform(0.24, 0.34) * (
        1
        + sum(
            generator.uniform(-uneven, uneven) * np.cos(k * angle + generator.uniform(0, 6.28))
            for k in range(2, 7)
        )
    )
    softness = 0.01 if diagnosis in ("bkl", "vasc") else 0.03
    inside = 1 / (1 + np.exp(np.clip((radius - edge) / softness, -50, 50)))
    first, second = (
        (np.array(colour) + generator.normal(0, 6, 3)).astype(np.float32)
        for colour in _BODY[diagnosis]
    )
    share = np.clip(_texture(diagnosis, generator, x, y, radius / edge), 0, 1)[..., None]
    picture += inside[..., None] * (first * (1 - share) + second * share - picture)
    # Furrows of the skin; without them it would be softer than any photograph that is in focus.
    picture += (4 * np.sin(100 * x + 30 * y))[..., None]
    picture += 3 * generator.standard_normal((height, width, 1), dtype=np.float32)
    return Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8), "RGB")


def _texture(
    diagnosis: str, generator: np.random.Generator, x: Array, y: Array, depth: Array
) -> Array:
    """Share of the second colour, 0 to 1; `depth` is 0 at the centre and 1 at the edge."""
    clouds = _clouds(generator, *x.shape)
    shift = generator.uniform(0, 6.28)
    textures: dict[str, Callable[[], Array]] = {
        "akiec": lambda: generator.random(x.shape, dtype=np.float32) * (clouds > 0),  # scales
        "bcc": lambda: (clouds > 0.45) * 1.0,  # a few blue-grey nests
        "bkl": lambda: 0.5 + 0.5 * np.sin(45 * (x + 0.1 * clouds) + shift),  # fissures
        "df": lambda: 1.2 - 2.2 * depth,  # white, scar-like centre
        "mel": lambda: 0.5 + 0.9 * clouds,  # blotches, blue-white veil
        "nv": lambda: 0.5 + 0.5 * np.sin(90 * x + shift) * np.sin(90 * y),  # pigment network
        "vasc": lambda: 2 * np.cos(40 * x + shift) * np.cos(40 * y),  # round lagoons
    }
    return textures[diagnosis]()


def _clouds(generator: np.random.Generator, height: int, width: int) -> Array:
    """Smooth noise between about -1 and 1."""
    coarse = generator.uniform(-1, 1, (6, 8)).astype(np.float32)
    smooth = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(smooth, dtype=np.float32)


def jpeg_bytes(image: Image.Image | None = None, quality: int = 90) -> bytes:
    """Encode an image, by default a nevus, as a JPEG without subsampling."""
    encoded = io.BytesIO()
    (image or lesion_image(0)).save(encoded, "JPEG", quality=quality, subsampling=0)
    return encoded.getvalue()


def synthetic_ham10000(
    folder: Path,
    per_class: int | Mapping[str, int],
    layout: Literal["archives", "folders"] = "archives",
    size: tuple[int, int] = LESION_SIZE,
) -> Path:
    """Write a made-up HAM10000 under the real names, and give `folder` back.

    Of each class's lesions every third has two images and the others one. Image numbers run from
    `FIRST_ISIC_NUMBER` on and are dealt over the classes; the first half is in part 1.
    """
    wanted = dict.fromkeys(CODES, per_class) if isinstance(per_class, int) else dict(per_class)
    dealer = random.Random(20180814)
    numbers = list(range(FIRST_ISIC_NUMBER, FIRST_ISIC_NUMBER + sum(wanted.values())))
    halfway = FIRST_ISIC_NUMBER + len(numbers) // 2
    dealer.shuffle(numbers)
    parts: dict[int, dict[str, bytes]] = {1: {}, 2: {}}
    rows: list[dict[str, object]] = []
    lesion = 0
    for code, count in wanted.items():
        for place in range(count):
            # In fours: alone, alone, and two that share a lesion.
            lesion += place % 4 != 3
            number = numbers.pop()
            picture = jpeg_bytes(lesion_image(number, code, size))
            parts[1 if number < halfway else 2][f"ISIC_{number:07d}.jpg"] = picture
            rows.append(
                {
                    "lesion_id": f"HAM_{lesion:07d}",
                    "image_id": f"ISIC_{number:07d}",
                    "dx": code,
                    "dx_type": dealer.choice(["histo", "follow_up", "consensus"]),
                    "age": dealer.choice(["", "35.0", "50.0", "70.0"]),
                    "sex": dealer.choice(["female", "male", "unknown"]),
                    "localization": dealer.choice(["back", "face", "lower extremity"]),
                }
            )
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "HAM10000_metadata.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    for part, pictures in parts.items():
        _write_part(folder / f"HAM10000_images_part_{part}", pictures, layout)
    return folder


def _write_part(path: Path, pictures: Mapping[str, bytes], layout: str) -> None:
    if layout == "archives":
        with zipfile.ZipFile(path.with_suffix(".zip"), "w", zipfile.ZIP_STORED) as archive:
            for name, picture in sorted(pictures.items()):
                archive.writestr(name, picture)
        return
    path.mkdir()
    for name, picture in pictures.items():
        (path / name).write_bytes(picture)


def made_compression() -> CompressedNetwork:
    """Say that a network was pruned and rounded."""
    return CompressedNetwork(
        variant="small",
        steps=("half of the channels removed", "int8"),
        settings={"variants": {"small": {"method": "int8"}}},
        fold=2,
        folds=5,
        multiplications=12_300_000,
    )


def made_manifest(**changes: object) -> Manifest:
    """Give a valid manifest as `publish` wants it from `fill`, with some fields changed."""
    fields: dict[str, object] = {
        "created": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        "architecture": "mobilenet",
        "parameters": Parameters(total=30, trainable=10, frozen=20),
        "activation_map": MapGeometry(height=7, width=7),
        "calibration": Calibration(method="none", temperature=1.0),
        "thresholds": Thresholds(malignancy=0.3, source="made up"),
        "metrics": {"accuracy": 0.5, "auc": None},
        "dataset": DatasetRecord(
            name="made up", source="code", license="none", images=14, digest="a" * 64
        ),
        "split": SplitRecord(train=10, validation=4, digest="b" * 64),
        "plan": PlanRecord(rows=20, per_class=dict.fromkeys(CODES, 2), digest="c" * 64),
        "recipe": {"epochs": 1},
        "seed": 1,
        "code_version": "0.0.0",
    }
    return Manifest.model_validate({**fields, **changes})


def made_unlikeness(limit: float = 0.25) -> OodThreshold:
    """Give the limit of a version that tells how unlike its training images an image is."""
    return OodThreshold(limit=limit, method="made up", source="code")


def made_agreement(**changes: object) -> EngineAgreement:
    """Give the figures of an engine that may stand in for the SavedModel, with some changed."""
    fields: dict[str, object] = {
        "images": 1000,
        "accuracy": 0.5,
        "balanced_accuracy": 0.5,
        "balanced_accuracy_change": 0.0,
        "largest_difference": 1e-6,
        "mean_difference": 1e-7,
        "equal_diagnoses": 1.0,
    }
    return EngineAgreement.model_validate({**fields, **changes})


def made_golden() -> Golden:
    """Give a golden answer that no network gave."""
    row = tuple(0.25 if place < 4 else 0.0 for place in range(len(CODES)))
    return Golden(seed=1, answers={"litert": GoldenAnswer(probabilities=(row,), tolerance=0.5)})
