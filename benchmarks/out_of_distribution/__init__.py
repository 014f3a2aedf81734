"""Measurements of the out-of-distribution detection, with images that show no lesion."""
