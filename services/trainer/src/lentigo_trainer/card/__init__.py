"""The model card: what a version is for, what it is worth, and what nobody knows."""
