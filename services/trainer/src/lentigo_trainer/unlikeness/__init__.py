"""How unlike the images that it learnt from a picture looks to a network."""
