"""`/v1/monitoring`: whether what was said was right, and whether the images still look the same."""
