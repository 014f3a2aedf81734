"""Measurements of the outline, the features and the description of a lesion."""
