"""Training of all layers, from images that are augmented at random."""
