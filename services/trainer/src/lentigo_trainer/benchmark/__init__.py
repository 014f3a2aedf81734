"""Train all architectures on the same rows, compare them and report the results."""
