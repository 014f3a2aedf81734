"""Smaller networks from a trained one: pruning, narrower rivals, int8; start reading at `run`."""
