"""Export a trained network, and publish it as a version."""
