"""Training of the last layers, from features that a frozen backbone computes once."""
