"""Results for the archive: a structured report, and a picture for viewers that show none.

Both are new instances in the study of the image (IHE, AI Results). Nothing here reads or sends
anything.
"""

from lentigo_gateway.dicom_results.capture import secondary_capture
from lentigo_gateway.dicom_results.report import structured_report

__all__ = ["secondary_capture", "structured_report"]
