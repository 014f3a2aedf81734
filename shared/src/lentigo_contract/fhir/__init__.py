"""FHIR R4: what is said of an image as resources, and what they are made of.

Resources are plain JSON, made by pure functions; nothing is sent here. `bundle.prediction_bundle`
is the way in. Profiles and examples are in `docs/fhir/`.
"""
