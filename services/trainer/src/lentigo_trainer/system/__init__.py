"""Retries, progress, and files that are written whole."""
