"""Connects a hospital's DICOM archive and FHIR server to the inference service."""

__version__ = "0.2.0"
