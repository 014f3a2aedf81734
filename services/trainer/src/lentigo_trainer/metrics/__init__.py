"""Metrics of predictions against known diagnoses, with their intervals."""
