"""Measurements of `lentigo-inference score`."""
