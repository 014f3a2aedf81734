"""From an image to a prediction: decoding, batching, and replacing models."""
