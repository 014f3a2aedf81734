"""Write dermoscopic DICOM files whose images are drawn by code.

    .venv/bin/python -m benchmarks.synthetic.dicom FOLDER --number 3

For trying an archive and the gateway. The patient does not exist.
"""

import argparse
from pathlib import Path
from typing import Final

from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import generate_uid

from benchmarks.synthetic.lesion import SIZE, draw_nevus
from tests.fakes import jpeg_bytes
from tests.gateway.dicom import dermoscopic, file_of

PATIENT: Final = "Nobody^Made^By^Code"


def nevus_instance(number: int, study: str) -> Dataset:
    """Return a dermoscopic photograph of a drawn nevus, JPEG Baseline."""
    image = dermoscopic(number, study=study, PatientName=PATIENT, PatientID="NOBODY")
    image.Columns, image.Rows = SIZE
    image.PixelData = encapsulate([jpeg_bytes(draw_nevus(number))])
    return image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--number", type=int, default=3)
    chosen = parser.parse_args()
    # Room for the suffixes of series and instance.
    study = generate_uid()[:56].rstrip(".")
    for number in range(1, chosen.number + 1):
        path = chosen.folder / f"nevus-{number}.dcm"
        path.write_bytes(file_of(nevus_instance(number, study)))
        print(path)


if __name__ == "__main__":
    main()
