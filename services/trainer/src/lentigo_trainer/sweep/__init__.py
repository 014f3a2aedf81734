"""Successive halving over the variants of a recipe; start reading at `run`."""
