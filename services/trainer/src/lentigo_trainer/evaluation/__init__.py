"""Metrics, intervals and reports of a model on images with known diagnoses."""
