"""Serves the newest published model version over REST."""

__version__ = "0.2.0"
