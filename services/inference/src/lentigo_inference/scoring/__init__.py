"""Scoring archives: every image of a folder, archive file or table, answered as by the service."""
