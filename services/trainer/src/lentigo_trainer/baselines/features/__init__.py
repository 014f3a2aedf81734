"""Colour, texture and border of a lesion as numbers."""
