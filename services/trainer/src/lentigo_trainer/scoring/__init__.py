"""Measuring a version or a service on images with a known truth: `lentigo-train evaluate`."""
