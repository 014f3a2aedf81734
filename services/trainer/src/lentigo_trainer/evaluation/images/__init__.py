"""The images that a model is evaluated on, their truth, and whether any of them trained it."""
