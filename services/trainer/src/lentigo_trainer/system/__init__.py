"""Retries, progress, and writing to disk."""
