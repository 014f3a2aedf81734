"""The second way of learning: the whole network, from originals sampled by class."""
