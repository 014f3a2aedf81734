"""Answers as FHIR resources, to a FHIR server."""
