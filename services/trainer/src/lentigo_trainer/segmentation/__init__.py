"""Lesion segmentation by a self-generating network, and how well masks agree with people's."""
