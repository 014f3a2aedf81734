"""From HAM10000 to the images of a training step."""
