"""Builds the HAM10000 training plan, fine-tunes, measures and publishes a model version."""

__version__ = "0.2.0"
