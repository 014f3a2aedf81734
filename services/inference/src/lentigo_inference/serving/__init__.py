"""From an image to an answer: decoding, batching, and swapping models."""
