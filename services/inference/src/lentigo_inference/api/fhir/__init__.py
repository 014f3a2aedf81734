"""FHIR R4: the answer to an image as a transaction Bundle, and what the service can do."""
