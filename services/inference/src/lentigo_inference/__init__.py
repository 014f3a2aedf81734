"""Serves the newest published model version over REST."""

__version__ = "0.1.0"
