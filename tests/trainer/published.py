"""HAM10000's metadata by its published counts, so that split and plan are tested without it."""

import pandas as pd

# Per class: all images, and the validation images of the paper's split.
IMAGES = {"akiec": 327, "bcc": 514, "bkl": 1099, "df": 115, "mel": 1113, "nv": 6705, "vasc": 142}
VALIDATION = {"akiec": 26, "bcc": 30, "bkl": 75, "df": 6, "mel": 39, "nv": 751, "vasc": 11}
# Lesions with a single image; the other images share the rest of the 7,470 lesions.
SINGLE = {"akiec": 151, "bcc": 175, "bkl": 440, "df": 39, "mel": 230, "nv": 4415, "vasc": 64}
LESIONS = 7_470

PLAN = {
    "akiec": 5217,
    "bcc": 5858,
    "bkl": 5920,
    "df": 4409,
    "mel": 5920,
    "nv": 5954,
    "vasc": 5290,
}


def published_records() -> pd.DataFrame:
    """One row an image, with the published numbers of images and lesions."""
    shared = LESIONS - sum(SINGLE.values())
    crowded = sum(IMAGES.values()) - sum(SINGLE.values())
    rows = []
    number = 0
    for code, count in IMAGES.items():
        alone = SINGLE[code]
        # Every class gets its part of the shared lesions, at least one.
        lesions = max(1, shared * (count - alone) // crowded)
        for image in range(count):
            single = image < alone
            lesion = f"{code}-{image}" if single else f"{code}-shared-{(image - alone) % lesions}"
            rows.append((lesion, f"ISIC_{number:07d}", code))
            number += 1
    return pd.DataFrame(rows, columns=["lesion_id", "image_id", "dx"])
