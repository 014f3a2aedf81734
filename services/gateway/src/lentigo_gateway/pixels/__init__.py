"""From the bytes of a DICOM file to images that the inference service reads."""
