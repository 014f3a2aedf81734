"""Choosing the engine that serves a version, and proving a new one between requests."""
