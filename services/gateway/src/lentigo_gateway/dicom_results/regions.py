"""The region that a measurement is of: always the whole frame."""

import numpy as np
from highdicom.sr import (
    GraphicTypeValues,
    ImageRegion,
    RelationshipTypeValues,
    SourceImageForRegion,
)

from lentigo_gateway.dicom_results.concepts import dicom_concept


class WholeFrame(ImageRegion):
    """A polyline around a frame (DICOM PS3.16, TID 1410).

    `ImageRegion` reads highdicom's table of all IODs first, to check an argument that is not given
    here. That table takes 61 MiB, for good.
    """

    def __init__(self, columns: int, rows: int, source: SourceImageForRegion) -> None:
        """Enclose a frame of this size, in pixels, of this image."""
        corners = [(0, 0), (columns, 0), (columns, rows), (0, rows), (0, 0)]
        super(ImageRegion, self).__init__(
            name=dicom_concept("111030", "Image Region"),
            graphic_type=GraphicTypeValues.POLYLINE,
            graphic_data=np.array(corners, np.float64),
            relationship_type=RelationshipTypeValues.CONTAINS,
        )
        self.ContentSequence = [source]
