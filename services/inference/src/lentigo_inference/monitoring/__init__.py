"""Monitoring: whether what was said was right, and whether the images still look as they did."""
