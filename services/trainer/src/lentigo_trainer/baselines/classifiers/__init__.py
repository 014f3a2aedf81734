"""The classifiers of the two systems."""
